// Attention of the decoder over a paged cache of bytes with a scale for each key and value; see attention.cu.
#include "paged_attention.cuh"

/// MOST: queries of a tile, 16, 64 or 128.
template <class T, i32 D, i32 MOST>
DEVICE void attend_bytes(
    const T *fused, i32 stride, i32 query_heads, i32 kv_heads, const i8 *keys, const i8 *values,
    const float *key_scales, const float *value_scales, i32 block_size, const i32 *tiles, const i32 *row_position,
    const i32 *block_tables, i32 table_width, float scale, T *y, i32 y_stride, float *partial) {
    const paged_attention<T, i8> launch{
        fused, stride, query_heads, kv_heads, keys, values, key_scales, value_scales, block_size, tiles, row_position,
        block_tables, table_width, scale, y, y_stride, partial};
    if constexpr (MOST == 16) {
        attend_streamed<T, i8, D>(launch);
    } else {
        attend_tiled<T, i8, D, MOST / 64>(launch);
    }
}

KERNEL(attention_f16_i8_16_16, 128, 17, attend_bytes<f16, 16, 16>)
KERNEL(attention_f16_i8_32_16, 128, 17, attend_bytes<f16, 32, 16>)
KERNEL(attention_f16_i8_64_16, 128, 17, attend_bytes<f16, 64, 16>)
KERNEL(attention_f16_i8_128_16, 128, 17, attend_bytes<f16, 128, 16>)
KERNEL(attention_f16_i8_16_64, 128, 17, attend_bytes<f16, 16, 64>)
KERNEL(attention_f16_i8_32_64, 128, 17, attend_bytes<f16, 32, 64>)
KERNEL(attention_f16_i8_64_64, 128, 17, attend_bytes<f16, 64, 64>)
KERNEL(attention_f16_i8_128_64, 128, 17, attend_bytes<f16, 128, 64>)
KERNEL(attention_f16_i8_128_128, 128, 17, attend_bytes<f16, 128, 128>)
KERNEL(attention_bf16_i8_16_16, 128, 17, attend_bytes<bf16, 16, 16>)
KERNEL(attention_bf16_i8_32_16, 128, 17, attend_bytes<bf16, 32, 16>)
KERNEL(attention_bf16_i8_64_16, 128, 17, attend_bytes<bf16, 64, 16>)
KERNEL(attention_bf16_i8_128_16, 128, 17, attend_bytes<bf16, 128, 16>)
KERNEL(attention_bf16_i8_16_64, 128, 17, attend_bytes<bf16, 16, 64>)
KERNEL(attention_bf16_i8_32_64, 128, 17, attend_bytes<bf16, 32, 64>)
KERNEL(attention_bf16_i8_64_64, 128, 17, attend_bytes<bf16, 64, 64>)
KERNEL(attention_bf16_i8_128_64, 128, 17, attend_bytes<bf16, 128, 64>)
KERNEL(attention_bf16_i8_128_128, 128, 17, attend_bytes<bf16, 128, 128>)
