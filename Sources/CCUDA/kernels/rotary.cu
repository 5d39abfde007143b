// Rotary embedding, and keys and values on their way into the cache. A block a row, 256 threads.
//
// Bytes of a decode row of the 9B model (34 heads that turn, 64 of 128 dimensions of each; 2 heads of values): 8.5 KiB
// read and 4.3 KiB written in place, 1 KiB stored.
#include "device.cuh"

/// table[row] = [cos of every pair | sin of every pair]: pair j turns by positions[axis[j]][row] *
/// inverse_frequency[j]. positions: [3, capacity] (T, H, W); axis, inverse_frequency: [pairs]; grid [rows].
DEVICE void rotary_table(
    const i32 *positions, i32 capacity, const i32 *axis, const float *inverse_frequency, i32 pairs, float *table,
    i32 stride) {
    table += i64(blockIdx.x) * stride;
    for (i32 j = i32(threadIdx.x); j < pairs; j += i32(blockDim.x)) {
        // The angle is rounded to f32, as the reference computes it; what follows is accurate.
        const float angle = float(positions[i64(axis[j]) * capacity + blockIdx.x]) * inverse_frequency[j];
        table[j] = float(cos(double(angle)));
        table[pairs + j] = float(sin(double(angle)));
    }
}

/// Rotates `heads` heads of `dimension` at x: pairs (2j, 2j+1) if interleaved, else (j, j + pairs). a' = a cos - b sin,
/// b' = b cos + a sin, in f32, every operation rounded.
template <class T>
DEVICE void rotate_heads(T *x, i32 heads, i32 dimension, const float *table, i32 pairs, i32 interleaved) {
    for (i32 i = i32(threadIdx.x); i < heads * pairs; i += i32(blockDim.x)) {
        const i32 j = i % pairs;
        T *first = x + i64(i / pairs) * dimension + (interleaved ? 2 * j : j);
        T *second = first + (interleaved ? 1 : pairs);
        const float a = widen(*first), b = widen(*second);
        const float cosine = table[j], sine = table[pairs + j];
        *first = narrow<T>(a * cosine - b * sine);
        *second = narrow<T>(b * cosine + a * sine);
    }
}

/// Rotates `heads` heads at the start of each row, in place; x: [rows, at least heads * dimension], table: [rows,
/// 2 * pairs], grid [rows].
template <class T>
DEVICE void rotate(
    T *x, i32 stride, i32 heads, i32 dimension, const float *table, i32 table_stride, i32 pairs, i32 interleaved) {
    rotate_heads(
        x + i64(blockIdx.x) * stride, heads, dimension, table + i64(blockIdx.x) * table_stride, pairs, interleaved);
}

/// Where a row's keys and values lie in the cache.
struct cache_place {
    i64 block;
    i32 kv_heads, block_size, slot;

    /// Index of this slot of `head` among all slots.
    DEVICE i64 of(i32 head) const { return (block * kv_heads + head) * block_size + slot; }
};

/// Stores heads x [kv_heads, dimension] as C, each value rounded once; scales are not used.
template <class T, class C>
DEVICE void store_heads(const T *x, i32 dimension, const cache_place &place, C *cache, float *) {
    for (i32 i = i32(threadIdx.x); i < place.kv_heads * dimension; i += i32(blockDim.x)) {
        cache[place.of(i / dimension) * dimension + i % dimension] = narrow<C>(widen(x[i]));
    }
}

/// In 8 bits, a warp a head: the scale is the greatest magnitude / 127, a quant x * (127 / magnitude) rounded to even;
/// an infinity or a NaN gives the scale NaN and quants 0.
template <class T>
DEVICE void store_heads(const T *x, i32 dimension, const cache_place &place, i8 *cache, float *scales) {
    const float greatest_finite = float_of(0x7f7fffff);
    for (i32 head = warp(); head < place.kv_heads; head += i32(blockDim.x) / 32) {
        const T *values = x + i64(head) * dimension;
        // Bits without a sign order as magnitudes do, those of a NaN above all.
        u32 greatest = 0;
        for (i32 i = lane(); i < dimension; i += 32) greatest = max(greatest, bits_of(widen(values[i])) & 0x7fffffff);
        for (i32 distance = 16; distance > 0; distance >>= 1) {
            greatest = max(greatest, shuffle_xor(greatest, distance));
        }
        const float magnitude = float_of(greatest);
        const bool is_finite = magnitude <= greatest_finite;
        // Below this the reciprocal is no longer finite; such a head is nothing.
        const float inverse = is_finite && magnitude >= 127 / greatest_finite ? 127 / magnitude : 0;
        for (i32 i = lane(); i < dimension; i += 32) {
            // Added to a small number, this leaves it rounded to even.
            const float quant = is_finite ? (widen(values[i]) * inverse + 0x1.8p23f) - 0x1.8p23f : 0;
            cache[place.of(head) * dimension + i] = i8(quant);
        }
        if (lane() == 0) scales[place.of(head)] = is_finite ? magnitude / 127 : float_of(0x7fffffff);
    }
}

/// Rotates the query and key heads of fused rows [query heads | key heads | value heads] in place, then stores keys
/// and values at the rows' places; grid [rows]. keys, values: [block][kv_head][slot][dimension]; of i8 with scales
/// [block][kv_head][slot]. Row r lies at position row_position[r] of sequence row_sequence[r], whose blocks are
/// block_tables[sequence]: [table_width].
template <class T, class C>
DEVICE void rotate_and_store(
    T *fused, i32 stride, i32 query_heads, i32 kv_heads, i32 dimension, const float *table, i32 table_stride,
    i32 pairs, i32 interleaved, C *keys, C *values, float *key_scales, float *value_scales, i32 block_size,
    const i32 *row_sequence, const i32 *row_position, const i32 *block_tables, i32 table_width) {
    fused += i64(blockIdx.x) * stride;
    rotate_heads(
        fused, query_heads + kv_heads, dimension, table + i64(blockIdx.x) * table_stride, pairs, interleaved);
    sync_block();
    const i32 position = row_position[blockIdx.x];
    const i32 *blocks = block_tables + i64(row_sequence[blockIdx.x]) * table_width;
    const cache_place place{blocks[position / block_size], kv_heads, block_size, position % block_size};
    const T *key_heads = fused + i64(query_heads) * dimension;
    store_heads(key_heads, dimension, place, keys, key_scales);
    store_heads(key_heads + i64(kv_heads) * dimension, dimension, place, values, value_scales);
}

KERNEL(rotary_table, 256, 7, rotary_table)

#define ROTATIONS(name, T)                                                    \
    KERNEL(rotate_##name, 256, 8, rotate<T>)                                  \
    KERNEL(rotate_and_store_##name##_f32, 256, 18, rotate_and_store<T, float>) \
    KERNEL(rotate_and_store_##name##_f16, 256, 18, rotate_and_store<T, f16>)   \
    KERNEL(rotate_and_store_##name##_bf16, 256, 18, rotate_and_store<T, bf16>) \
    KERNEL(rotate_and_store_##name##_i8, 256, 18, rotate_and_store<T, i8>)

ROTATIONS(f32, float)
ROTATIONS(f16, f16)
ROTATIONS(bf16, bf16)
