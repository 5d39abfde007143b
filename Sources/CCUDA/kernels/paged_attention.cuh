// Attention on tensor cores over the paged cache, for a cache of halves and one of bytes.
#ifndef MARTLET_PAGED_ATTENTION_CUH
#define MARTLET_PAGED_ATTENTION_CUH

#include "cache_rows.cuh"
#include "query_tile.cuh"
#include "streamed_attention.cuh"
#include "tiled_attention.cuh"

/// The limits of `count` queries, which ascend; this warp's begin at `first`.
DEVICE row_limits limits_of(const query_tile &tile, i32 *each, i32 count, i32 first) {
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) each[i] = tile.limit(i);
    sync_block();
    return {each, each[first], each[count - 1]};
}

/// What a launch on tensor cores is told. fused: rows of query heads, `stride` apart; keys, values:
/// [block][kv_heads][slot][D] of C, T or bytes with scales [block][kv_heads][slot]; tiles: [count][4]; block_tables:
/// [sequences][table_width]; y: [rows, query_heads * D]. Grid [tiles, kv_heads, splits], 128 threads; with more than
/// one split, records of a query's parts go to `partial`, and attention_combine joins them.
template <class T, class C> struct paged_attention {
    const T *fused;
    i32 stride, query_heads, kv_heads;
    const C *keys, *values;
    const float *key_scales, *value_scales;
    i32 block_size;
    const i32 *tiles, *row_position, *block_tables;
    i32 table_width;
    float scale;
    T *y;
    i32 y_stride;
    float *partial;

    DEVICE i32 kv_head() const { return i32(blockIdx.y); }
    DEVICE query_tile tile() const {
        return query_tile(tiles, i32(blockIdx.x), query_heads / kv_heads, kv_head(), row_position);
    }
    DEVICE paged_rows rows(const query_tile &tile, i32 dimension) const {
        return paged_rows(
            block_tables + i64(tile.sequence) * table_width, block_size, kv_heads, kv_head(), dimension);
    }
    /// Of query i of the tile, whose block has `places` records.
    DEVICE float *record(i32 i, i32 places, i32 dimension) const {
        const i64 tile_head = i64(blockIdx.x) * kv_heads + kv_head();
        return partial
               + partial_record::offset(tile_head, i32(gridDim.z), i32(blockIdx.z), places, i, dimension);
    }
};

/// y[row, head] for the rows of tiles of at most 64 * STRIPS queries.
template <class T, class C, i32 D, i32 STRIPS> DEVICE void attend_tiled(const paged_attention<T, C> &launch) {
    using attention = tiled_attention<T, D, STRIPS>;
    SHARED(vec4, memory, [attention::SHARED_BYTES / 16]);
    SHARED(i32, each, [attention::QUERIES]);
    const query_tile tile = launch.tile();
    const i32 count = tile.query_count();
    if (count == 0) return;
    attention a;
    a.load_queries([&](i32 i) { return i < count ? launch.fused + tile.offset(i, launch.stride, D) : nullptr; });
    const paged_rows rows = launch.rows(tile, D);
    const row_limits limits = limits_of(tile, each, attention::QUERIES, warp() * 16 * STRIPS);
    const i32 split = i32(blockIdx.z), splits = i32(gridDim.z);
    if constexpr (sizeof(C) == 1) {
        expanded_tiles<T, D, paged_rows> tiles{
            launch.keys, launch.values, launch.key_scales, launch.value_scales, rows, limits.last, {}, {}};
        a.attend((u8 *)memory, tiles, split, splits, launch.scale * log2_of_e, limits);
    } else {
        copied_tiles<T, D, paged_rows> tiles{launch.keys, launch.values, rows, limits.last};
        a.attend((u8 *)memory, tiles, split, splits, launch.scale * log2_of_e, limits);
    }
    if (splits == 1) {
        a.store([&](i32 i) { return i < count ? launch.y + tile.offset(i, launch.y_stride, D) : nullptr; });
    } else {
        a.store_parts([&](i32 i) { return i < count ? launch.record(i, attention::QUERIES, D) : nullptr; });
    }
}

/// The same for tiles of at most 16 queries, as in decoding.
template <class T, class C, i32 D> DEVICE void attend_streamed(const paged_attention<T, C> &launch) {
    using attention = streamed_attention<T, C, D>;
    SHARED(i32, each, [attention::QUERIES]);
    SHARED(float, joined, [attention::QUERIES][D]);
    SHARED(float, maxima, [attention::QUERIES]);
    SHARED(float, totals, [attention::QUERIES]);
    const query_tile tile = launch.tile();
    const i32 count = tile.query_count();
    if (count == 0) return;
    attention a;
    a.keys = launch.keys;
    a.values = launch.values;
    a.key_scales = launch.key_scales;
    a.value_scales = launch.value_scales;
    a.load_queries([&](i32 i) { return i < count ? launch.fused + tile.offset(i, launch.stride, D) : nullptr; });
    const i32 worker = i32(blockIdx.z) * attention::WARPS + warp(), workers = i32(gridDim.z) * attention::WARPS;
    a.attend(
        launch.rows(tile, D), worker, workers, launch.scale * log2_of_e,
        limits_of(tile, each, attention::QUERIES, 0));
    a.join(joined, maxima, totals);
    for (i32 i = i32(threadIdx.x); i < count * D; i += 32 * attention::WARPS) {
        const i32 query = i / D, d = i % D;
        if (gridDim.z == 1) {
            launch.y[tile.offset(query, launch.y_stride, D) + d] = narrow<T>(joined[query][d] / totals[query]);
            continue;
        }
        float *const record = launch.record(query, attention::QUERIES, D);
        record[d] = joined[query][d];
        if (d == 0) record[D] = maxima[query];
        if (d == 0) record[D + 1] = totals[query];
    }
}

#endif
