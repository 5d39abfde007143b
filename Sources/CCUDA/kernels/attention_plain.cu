// Attention of the decoder over its paged cache in f32: where operands are, or where tensor cores do not take the
// cache's type or the dimension; see attention.cu.
#include "cache_rows.cuh"
#include "plain_attention.cuh"
#include "query_tile.cuh"

/// y[row, head] for each row of a tile, for any dimension to 256 and caches of type C: f32, f16, bf16, or bytes with
/// scales [block][kv_heads][slot]. Grid [tiles, query_heads, splits], 128 threads; `places`: records of a tile in
/// `partial`.
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

KERNEL(attention_plain_f32_f32, RESIDENT(128, 4), 19, attend_plain<float, float>)
KERNEL(attention_plain_f32_f16, RESIDENT(128, 4), 19, attend_plain<float, f16>)
KERNEL(attention_plain_f32_bf16, RESIDENT(128, 4), 19, attend_plain<float, bf16>)
KERNEL(attention_plain_f32_i8, RESIDENT(128, 4), 19, attend_plain<float, i8>)
KERNEL(attention_plain_f16_f32, RESIDENT(128, 4), 19, attend_plain<f16, float>)
KERNEL(attention_plain_f16_f16, RESIDENT(128, 4), 19, attend_plain<f16, f16>)
KERNEL(attention_plain_f16_bf16, RESIDENT(128, 4), 19, attend_plain<f16, bf16>)
KERNEL(attention_plain_f16_i8, RESIDENT(128, 4), 19, attend_plain<f16, i8>)
KERNEL(attention_plain_bf16_f32, RESIDENT(128, 4), 19, attend_plain<bf16, float>)
KERNEL(attention_plain_bf16_f16, RESIDENT(128, 4), 19, attend_plain<bf16, f16>)
KERNEL(attention_plain_bf16_bf16, RESIDENT(128, 4), 19, attend_plain<bf16, bf16>)
KERNEL(attention_plain_bf16_i8, RESIDENT(128, 4), 19, attend_plain<bf16, i8>)
