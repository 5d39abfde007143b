// Tiles of keys and values on their way into shared memory.
#ifndef MARTLET_TILE_SOURCE_CUH
#define MARTLET_TILE_SOURCE_CUH

#include "device.cuh"

/// A tile of 32 keys of D halves, then one of values, in shared memory.
template <i32 D> struct tile_layout {
    static constexpr i32 THREADS = 128, TILE = 32;
    /// Of 16 bytes, in a row.
    static constexpr u32 CHUNKS = D / 8, ROW_BYTES = 16 * CHUNKS;
    /// Of the keys, or of the values.
    static constexpr u32 TILE_BYTES = TILE * ROW_BYTES;

    /// Where a chunk of a tile lies, in bytes. Chunks are permuted so that eight rows' chunks of one column lie in
    /// different banks: every eight rows alike, so that a chunk further is one exclusive or.
    static DEVICE u32 place(u32 row, u32 chunk) {
        constexpr u32 rows_a_line = CHUNKS < 8 ? 8 / CHUNKS : 1, columns = CHUNKS < 8 ? CHUNKS : 8;
        return row * ROW_BYTES + (chunk ^ (row / rows_a_line % columns)) * 16;
    }
};

/// Keys and values of halves, copied in the background. Rows: cache_rows.cuh.
template <class T, i32 D, class Rows> struct copied_tiles {
    using layout = tile_layout<D>;

    const T *keys, *values;
    Rows rows;
    /// Zeros past it.
    i32 last;

    /// Starts on the positions from `first` on.
    DEVICE void begin(u8 *tile, i32 first) const {
        constexpr u32 step = layout::THREADS / layout::CHUNKS;
        const u32 thread = u32(afresh(i32(threadIdx.x))), chunk = thread % layout::CHUNKS;
#pragma unroll
        for (u32 i = 0; i < layout::TILE; i += step) {
            const u32 row = i + thread / layout::CHUNKS;
            if (layout::TILE % step != 0 && row >= layout::TILE) break;
            const i32 position = first + i32(row);
            const i64 offset = rows.offset(min(position, last)) + chunk * 8;
            copy_async_16(tile + layout::place(row, chunk), keys + offset, position <= last);
            copy_async_16(tile + layout::TILE_BYTES + layout::place(row, chunk), values + offset, position <= last);
        }
        copy_async_commit();
    }
    DEVICE void finish(u8 *) const {}
    /// What was begun is there for the block after its next barrier.
    DEVICE void arrive() const { copy_async_wait<0>(); }
};

/// Byte `index` of a word of signed bytes whose highest bits are flipped: added to 2^23, whose last bit is worth 1, it
/// is the distance from that and 128.
DEVICE float signed_byte(u32 flipped, u32 index) {
    return float_of(select_bytes(flipped, 0x4b000000, 0x7540 + index)) - float(0x800000 + 128);
}

/// Keys and values of bytes with a scale each, read into registers when begun, stored as T when finished.
template <class T, i32 D, class Rows> struct expanded_tiles {
    using layout = tile_layout<D>;
    /// Of 16 bytes, in a row; how far the rows of a thread are apart, and how many it has.
    static constexpr u32 COLUMNS = D / 16, STEP = layout::THREADS / COLUMNS;
    static constexpr u32 LOADS = STEP < layout::TILE ? layout::TILE / STEP : 1;

    const i8 *keys, *values;
    const float *key_scales, *value_scales;
    Rows rows;
    i32 last;
    vec4 quants[2][LOADS];
    float scales[2][LOADS];

    DEVICE void begin(u8 *, i32 first) {
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            const u32 row = i * STEP + threadIdx.x / COLUMNS;
            const i32 position = first + i32(row);
            quants[0][i] = quants[1][i] = vec4{0, 0, 0, 0};
            scales[0][i] = scales[1][i] = 0;
            if (row >= layout::TILE || position > last) continue;
            const i64 offset = rows.offset(position) + threadIdx.x % COLUMNS * 16, scale = rows.row(position);
            quants[0][i] = load_once(keys + offset);
            quants[1][i] = load_once(values + offset);
            scales[0][i] = key_scales[scale];
            scales[1][i] = value_scales[scale];
        }
    }
    DEVICE void finish(u8 *tile) const {
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            const u32 row = i * STEP + threadIdx.x / COLUMNS, chunk = threadIdx.x % COLUMNS * 2;
            if (STEP > layout::TILE && row >= layout::TILE) break;
#pragma unroll
            for (u32 j = 0; j < 2; j++) {
                const vec4 q = quants[j][i];
                u8 *const half = tile + j * layout::TILE_BYTES;
                *(vec4 *)(half + layout::place(row, chunk)) = expand(q.x, q.y, scales[j][i]);
                *(vec4 *)(half + layout::place(row, chunk + 1)) = expand(q.z, q.w, scales[j][i]);
            }
        }
    }
    DEVICE void arrive() const {}

private:
    static DEVICE u32 pair(u32 flipped, u32 index, float scale) {
        return narrow2<T>(signed_byte(flipped, index) * scale, signed_byte(flipped, index + 1) * scale);
    }
    static DEVICE vec4 expand(u32 low, u32 high, float scale) {
        low ^= 0x80808080;
        high ^= 0x80808080;
        return vec4{pair(low, 0, scale), pair(low, 2, scale), pair(high, 0, scale), pair(high, 2, scale)};
    }
};

#endif
