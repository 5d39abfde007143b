// Attention of the vision tower: every patch of an image attends to all of them. The truth is attention.c among the
// CPU's kernels; what is multiplied here was rounded to T, the weights too, and sums are f32 (the bound: attention.cu).
//
// A warp's 32 queries of 128 dimensions stay in registers, all 255 of them; two blocks a multiprocessor. For 32
// positions it issues 128 products of 16 x 8 x 16, 32 loads of matrices and about 450 other instructions, of which 36
// are exponentials: on an A100 1024 clocks of tensor cores beside 610 of issue, for two warps a scheduler.
#include "cache_rows.cuh"
#include "plain_attention.cuh"
#include "tiled_attention.cuh"

/// y[i] = attention of patch first + i, i < count; fused: [patches, 3 * heads * D], rows `stride` apart, queries, then
/// keys, then values; y: [count, heads * D]. Grid [ceil(count / 128), heads].
template <class T, i32 D>
DEVICE void full_attention(
    const T *fused, i32 stride, i32 heads, i32 patches, i32 first, i32 count, float scale, T *y, i32 y_stride) {
    using attention = tiled_attention<T, D, 2>;
    SHARED(vec4, memory, [attention::SHARED_BYTES / 16]);
    const i32 head = i32(blockIdx.y) * D, base = i32(blockIdx.x) * attention::QUERIES;
    attention a;
    a.load_queries([=](i32 i) -> const T * {
        return base + i < count ? fused + i64(first + base + i) * stride + head : nullptr;
    });
    const common_limit limits(patches - 1);
    const T *const keys = fused + heads * D + head;
    copied_tiles<T, D, strided_rows> tiles{keys, keys + heads * D, strided_rows{stride}, limits.last};
    a.attend((u8 *)memory, tiles, 0, 1, scale * log2_of_e, limits);
    a.store([=](i32 i) -> T * { return base + i < count ? y + i64(base + i) * y_stride + head : nullptr; });
}

KERNEL(full_attention_f16_16, 128, 9, full_attention<f16, 16>)
KERNEL(full_attention_f16_32, 128, 9, full_attention<f16, 32>)
KERNEL(full_attention_f16_64, 128, 9, full_attention<f16, 64>)
KERNEL(full_attention_f16_128, 128, 9, full_attention<f16, 128>)
KERNEL(full_attention_bf16_16, 128, 9, full_attention<bf16, 16>)
KERNEL(full_attention_bf16_32, 128, 9, full_attention<bf16, 32>)
KERNEL(full_attention_bf16_64, 128, 9, full_attention<bf16, 64>)
KERNEL(full_attention_bf16_128, 128, 9, full_attention<bf16, 128>)

/// The same in f32, for any dimension to 256. Grid [count, heads].
template <class T>
DEVICE void full_attention_plain(
    const T *fused, i32 stride, i32 heads, i32 dimension, i32 patches, i32 first, float scale, T *y, i32 y_stride) {
    const i32 row = i32(blockIdx.x), head = i32(blockIdx.y) * dimension;
    const T *const keys = fused + heads * dimension + head;
    T *const output = y + i64(row) * y_stride + head;
    attend_plainly(
        fused + i64(first + row) * stride + head, scale, dimension, keys, keys + heads * dimension,
        (const float *)nullptr, (const float *)nullptr, strided_rows{stride}, patches, 0, 1,
        [=](i32 d, float sum, float, float total) { output[d] = narrow<T>(sum / total); });
}

KERNEL(full_attention_plain_f32, 128, 9, full_attention_plain<float>)
KERNEL(full_attention_plain_f16, 128, 9, full_attention_plain<f16>)
KERNEL(full_attention_plain_bf16, 128, 9, full_attention_plain<bf16>)
