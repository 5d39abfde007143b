// Attention of the decoder over its paged cache. The truth is attention.c among the CPU's kernels. On tensor cores what
// is multiplied is T, weights are rounded to it after they are summed, and sums are f32: an output is within two
// roundings to T of the greatest magnitude among the values, of bytes expanded in shared memory within three.
#include "paged_attention.cuh"

/// A cache of T. MOST: queries of a tile, 16, 64 or 128.
template <class T, i32 D, i32 MOST>
DEVICE void attend(
    const T *fused, i32 stride, i32 query_heads, i32 kv_heads, const T *keys, const T *values, i32 block_size,
    const i32 *tiles, const i32 *row_position, const i32 *block_tables, i32 table_width, float scale, T *y,
    i32 y_stride, float *partial) {
    const paged_attention<T, T> launch{
        fused, stride, query_heads, kv_heads, keys, values, nullptr, nullptr, block_size, tiles, row_position,
        block_tables, table_width, scale, y, y_stride, partial};
    if constexpr (MOST == 16) {
        attend_streamed<T, T, D>(launch);
    } else {
        attend_tiled<T, T, D, MOST / 64>(launch);
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

KERNEL(attention_f16_16_16, 128, 15, attend<f16, 16, 16>)
KERNEL(attention_f16_32_16, 128, 15, attend<f16, 32, 16>)
KERNEL(attention_f16_64_16, 128, 15, attend<f16, 64, 16>)
KERNEL(attention_f16_128_16, 128, 15, attend<f16, 128, 16>)
KERNEL(attention_f16_16_64, 128, 15, attend<f16, 16, 64>)
KERNEL(attention_f16_32_64, 128, 15, attend<f16, 32, 64>)
KERNEL(attention_f16_64_64, 128, 15, attend<f16, 64, 64>)
KERNEL(attention_f16_128_64, RESIDENT(128, 2), 15, attend<f16, 128, 64>)
KERNEL(attention_f16_128_128, RESIDENT(128, 2), 15, attend<f16, 128, 128>)
KERNEL(attention_bf16_16_16, 128, 15, attend<bf16, 16, 16>)
KERNEL(attention_bf16_32_16, 128, 15, attend<bf16, 32, 16>)
KERNEL(attention_bf16_64_16, 128, 15, attend<bf16, 64, 16>)
KERNEL(attention_bf16_128_16, 128, 15, attend<bf16, 128, 16>)
KERNEL(attention_bf16_16_64, 128, 15, attend<bf16, 16, 64>)
KERNEL(attention_bf16_32_64, 128, 15, attend<bf16, 32, 64>)
KERNEL(attention_bf16_64_64, 128, 15, attend<bf16, 64, 64>)
KERNEL(attention_bf16_128_64, RESIDENT(128, 2), 15, attend<bf16, 128, 64>)
KERNEL(attention_bf16_128_128, RESIDENT(128, 2), 15, attend<bf16, 128, 128>)

KERNEL(attention_combine_f32, 128, 9, combine<float>)
KERNEL(attention_combine_f16, 128, 9, combine<f16>)
KERNEL(attention_combine_bf16, 128, 9, combine<bf16>)
