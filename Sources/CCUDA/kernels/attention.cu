// Attention of the decoder over its paged cache. The truth is attention.c among the CPU's kernels. On tensor cores what
// is multiplied is T, weights are rounded to it after they are summed, and sums are f32; the rest is f32 throughout.
#include "cache_rows.cuh"
#include "plain_attention.cuh"
#include "query_tile.cuh"
#include "streamed_attention.cuh"
#include "tiled_attention.cuh"

/// The limits of a warp's queries, of which a lane has query(strip) and the eighth after it.
template <i32 STRIPS, class Query> DEVICE query_limits<STRIPS> limits_of(const query_tile &tile, const Query &query) {
    query_limits<STRIPS> limits;
    for (i32 strip = 0; strip < STRIPS; strip++) {
        const i32 own = query(strip), first = own - lane() / 4;
        limits.own[strip][0] = tile.limit(own);
        limits.own[strip][1] = tile.limit(own + 8);
        limits.lowest[strip] = tile.limit(first);
        limits.highest[strip] = tile.limit(first + 15);
    }
    limits.last = tile.limit(tile.query_count() - 1);
    return limits;
}

/// Attention of tiles of rows and the query heads of one key/value head: y[row, head] for each row of a tile.
/// fused: rows of query heads, `stride` apart; keys, values: [block][kv_heads][slot][D]; tiles: [count][4];
/// block_tables: [sequences][table_width]; y: [rows, query_heads * D]. Grid [tiles, kv_heads, splits], 128 threads;
/// with more than one split, records of a query's parts go to `partial`, and attention_combine joins them.
/// A tile has at most 64 * STRIPS queries.
template <class T, i32 D, i32 STRIPS>
DEVICE void attend_tiled(
    const T *fused, i32 stride, i32 query_heads, i32 kv_heads, const T *keys, const T *values, i32 block_size,
    const i32 *tiles, const i32 *row_position, const i32 *block_tables, i32 table_width, float scale, T *y,
    i32 y_stride, float *partial) {
    using attention = tiled_attention<T, D, STRIPS>;
    SHARED(vec4, memory, [attention::SHARED_BYTES / 16]);
    const i32 kv_head = i32(blockIdx.y), split = i32(blockIdx.z), splits = i32(gridDim.z);
    const query_tile tile(tiles, i32(blockIdx.x), query_heads / kv_heads, kv_head, row_position);
    const i32 count = tile.query_count();
    if (count == 0) return;
    attention a;
    a.load_queries([&](i32 i) { return i < count ? fused + tile.offset(i, stride, D) : nullptr; });
    const paged_rows rows(block_tables + i64(tile.sequence) * table_width, block_size, kv_heads, kv_head, D);
    a.attend(
        (u8 *)memory, keys, values, rows, split, splits, scale * log2_of_e,
        limits_of<STRIPS>(tile, [](i32 strip) { return attention::query(strip); }));
    if (splits == 1) {
        a.store([&](i32 i) { return i < count ? y + tile.offset(i, y_stride, D) : nullptr; });
    } else {
        const i64 tile_head = i64(blockIdx.x) * kv_heads + kv_head;
        a.store_parts([&](i32 i) {
            const i64 offset = partial_record::offset(tile_head, splits, split, attention::QUERIES, i, D);
            return i < count ? partial + offset : nullptr;
        });
    }
}

/// The same for tiles of at most 16 queries, as in decoding.
template <class T, i32 D>
DEVICE void attend_streamed(
    const T *fused, i32 stride, i32 query_heads, i32 kv_heads, const T *keys, const T *values, i32 block_size,
    const i32 *tiles, const i32 *row_position, const i32 *block_tables, i32 table_width, float scale, T *y,
    i32 y_stride, float *partial) {
    using attention = streamed_attention<T, D>;
    SHARED(float, joined, [attention::QUERIES][D]);
    SHARED(float, maxima, [attention::QUERIES]);
    SHARED(float, totals, [attention::QUERIES]);
    const i32 kv_head = i32(blockIdx.y), split = i32(blockIdx.z), splits = i32(gridDim.z);
    const query_tile tile(tiles, i32(blockIdx.x), query_heads / kv_heads, kv_head, row_position);
    const i32 count = tile.query_count();
    if (count == 0) return;
    attention a;
    a.load_queries([&](i32 i) { return i < count ? fused + tile.offset(i, stride, D) : nullptr; });
    const paged_rows rows(block_tables + i64(tile.sequence) * table_width, block_size, kv_heads, kv_head, D);
    a.attend(
        keys, values, rows, split * attention::WARPS + warp(), splits * attention::WARPS, scale * log2_of_e,
        limits_of<1>(tile, [](i32) { return lane() / 4; }));
    a.join(joined, maxima, totals);
    const i64 tile_head = i64(blockIdx.x) * kv_heads + kv_head;
    for (i32 i = i32(threadIdx.x); i < count * D; i += 32 * attention::WARPS) {
        const i32 query = i / D, d = i % D;
        if (splits == 1) {
            y[tile.offset(query, y_stride, D) + d] = narrow<T>(joined[query][d] / totals[query]);
            continue;
        }
        float *const record =
            partial + partial_record::offset(tile_head, splits, split, attention::QUERIES, query, D);
        record[d] = joined[query][d];
        if (d == 0) record[D] = maxima[query];
        if (d == 0) record[D + 1] = totals[query];
    }
}

/// The same in f32, for any dimension to 256 and caches of type C: f32, f16, bf16, or bytes with scales
/// [block][kv_heads][slot]. Grid [tiles, query_heads, splits], 128 threads; `places`: records of a tile in `partial`.
template <class T, class C>
DEVICE void attend_plain(
    const T *fused, i32 stride, i32 query_heads, i32 kv_heads, i32 dimension, const C *keys, const C *values,
    const float *key_scales, const float *value_scales, i32 block_size, const i32 *tiles, const i32 *row_position,
    const i32 *block_tables, i32 table_width, float scale, T *y, i32 y_stride, float *partial, i32 places) {
    const i32 group = query_heads / kv_heads, kv_head = i32(blockIdx.y) / group;
    const i32 split = i32(blockIdx.z), splits = i32(gridDim.z);
    const query_tile tile(tiles, i32(blockIdx.x), group, kv_head, row_position);
    const paged_rows rows(block_tables + i64(tile.sequence) * table_width, block_size, kv_heads, kv_head, dimension);
    const i64 tile_head = i64(blockIdx.x) * kv_heads + kv_head;
    for (i32 query = i32(blockIdx.y) % group; query < tile.query_count(); query += group) {
        T *const output = y + tile.offset(query, y_stride, dimension);
        float *const record =
            partial + partial_record::offset(tile_head, splits, split, places, query, dimension);
        attend_plainly(
            fused + tile.offset(query, stride, dimension), scale, dimension, keys, values, key_scales, value_scales,
            rows, tile.limit(query) + 1, split, splits, [&](i32 d, float sum, float maximum, float total) {
                if (splits == 1) {
                    output[d] = narrow<T>(sum / total);
                    return;
                }
                record[d] = sum;
                if (d == 0) record[dimension] = maximum;
                if (d == 0) record[dimension + 1] = total;
            });
    }
}

/// y[row, head] from the parts that `splits` blocks have written of it; `places`: 16, 64 or what attention_plain was
/// told. Grid [tiles, query_heads], 128 threads.
template <class T>
DEVICE void combine(
    const i32 *tiles, i32 query_heads, i32 kv_heads, i32 dimension, i32 splits, i32 places, const float *partial,
    T *y, i32 y_stride) {
    const i32 group = query_heads / kv_heads, kv_head = i32(blockIdx.y) / group;
    const query_tile tile(tiles, i32(blockIdx.x), group, kv_head, nullptr);
    const i64 tile_head = i64(blockIdx.x) * kv_heads + kv_head;
    for (i32 query = i32(blockIdx.y) % group; query < tile.query_count(); query += group) {
        const float *const first = partial + partial_record::offset(tile_head, splits, 0, places, query, dimension);
        const i64 apart = partial_record::offset(0, splits, 1, places, 0, dimension);
        float highest = minus_infinity();
        for (i32 s = 0; s < splits; s++) highest = fmaxf(highest, first[s * apart + dimension]);
        const float base = highest == minus_infinity() ? 0 : highest;
        for (i32 d = i32(threadIdx.x); d < dimension; d += i32(blockDim.x)) {
            float sum = 0, total = 0;
            for (i32 s = 0; s < splits; s++) {
                const float *const record = first + s * apart;
                const float factor = power_of_two(record[dimension] - base);
                sum = fmaf(record[d], factor, sum);
                total = fmaf(record[dimension + 1], factor, total);
            }
            y[tile.offset(query, y_stride, dimension) + d] = narrow<T>(sum / total);
        }
    }
}

KERNEL(attention_f16_16_16, 128, 15, attend_streamed<f16, 16>)
KERNEL(attention_f16_32_16, 128, 15, attend_streamed<f16, 32>)
KERNEL(attention_f16_64_16, 128, 15, attend_streamed<f16, 64>)
KERNEL(attention_f16_128_16, 128, 15, attend_streamed<f16, 128>)
KERNEL(attention_bf16_16_16, 128, 15, attend_streamed<bf16, 16>)
KERNEL(attention_bf16_32_16, 128, 15, attend_streamed<bf16, 32>)
KERNEL(attention_bf16_64_16, 128, 15, attend_streamed<bf16, 64>)
KERNEL(attention_bf16_128_16, 128, 15, attend_streamed<bf16, 128>)

KERNEL(attention_f16_16_64, 128, 15, attend_tiled<f16, 16, 1>)
KERNEL(attention_f16_32_64, 128, 15, attend_tiled<f16, 32, 1>)
KERNEL(attention_f16_64_64, 128, 15, attend_tiled<f16, 64, 1>)
KERNEL(attention_f16_128_64, 128, 15, attend_tiled<f16, 128, 1>)
KERNEL(attention_bf16_16_64, 128, 15, attend_tiled<bf16, 16, 1>)
KERNEL(attention_bf16_32_64, 128, 15, attend_tiled<bf16, 32, 1>)
KERNEL(attention_bf16_64_64, 128, 15, attend_tiled<bf16, 64, 1>)
KERNEL(attention_bf16_128_64, 128, 15, attend_tiled<bf16, 128, 1>)

KERNEL(attention_plain_f32_f32, 128, 19, attend_plain<float, float>)
KERNEL(attention_plain_f32_f16, 128, 19, attend_plain<float, f16>)
KERNEL(attention_plain_f32_bf16, 128, 19, attend_plain<float, bf16>)
KERNEL(attention_plain_f32_i8, 128, 19, attend_plain<float, i8>)
KERNEL(attention_plain_f16_f32, 128, 19, attend_plain<f16, float>)
KERNEL(attention_plain_f16_f16, 128, 19, attend_plain<f16, f16>)
KERNEL(attention_plain_f16_bf16, 128, 19, attend_plain<f16, bf16>)
KERNEL(attention_plain_f16_i8, 128, 19, attend_plain<f16, i8>)
KERNEL(attention_plain_bf16_f32, 128, 19, attend_plain<bf16, float>)
KERNEL(attention_plain_bf16_f16, 128, 19, attend_plain<bf16, f16>)
KERNEL(attention_plain_bf16_bf16, 128, 19, attend_plain<bf16, bf16>)
KERNEL(attention_plain_bf16_i8, 128, 19, attend_plain<bf16, i8>)

KERNEL(attention_combine_f32, 128, 9, combine<float>)
KERNEL(attention_combine_f16, 128, 9, combine<f16>)
KERNEL(attention_combine_bf16, 128, 9, combine<bf16>)
