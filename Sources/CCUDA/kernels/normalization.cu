// Norms over rows: a block a row, 256 threads. Thread t adds up elements t, t + 256, …, then `block_sum` joins the
// threads: a row's bits depend on its own values only, and are within 1e-6 of the CPU's, whose lanes are 32.
//
// Bytes of a row of 4096: 16 KiB of x from the level-2 cache, read again from the first level, 16 KiB of weights, and
// the result (8 KiB as a half). One block cannot stream that; what counts is that its loads are in flight together.
#include "reduction.cuh"

/// 1 / sqrt(mean((x - mean)^2) + epsilon).
DEVICE float inverse_deviation(const float *x, i32 width, float mean, float epsilon) {
    float sum = 0;
#pragma unroll 8
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) {
        const float centred = x[i] - mean;
        sum = fmaf(centred, centred, sum);
    }
    return 1.0f / sqrtf(block_sum(sum) / float(width) + epsilon);
}

/// y = x / sqrt(mean(x^2) + epsilon) * weight; x: [rows, width], grid [rows]. y may be x.
template <class T>
DEVICE void rms_norm(
    const float *x, i32 x_stride, const float *weight, float epsilon, T *y, i32 y_stride, i32 width) {
    x += i64(blockIdx.x) * x_stride;
    y += i64(blockIdx.x) * y_stride;
    const float inverse = inverse_deviation(x, width, 0.0f, epsilon);
#pragma unroll 8
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) y[i] = narrow<T>(x[i] * inverse * weight[i]);
}

/// x += rms_norm(y); [rows, width], grid [rows].
DEVICE void add_rms_norm(
    const float *y, i32 y_stride, const float *weight, float epsilon, float *x, i32 x_stride, i32 width) {
    x += i64(blockIdx.x) * x_stride;
    y += i64(blockIdx.x) * y_stride;
    const float inverse = inverse_deviation(y, width, 0.0f, epsilon);
#pragma unroll 8
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) x[i] = x[i] + y[i] * inverse * weight[i];
}

/// x += rms_norm(y), or x += y where `branch_weight` is null, then z = rms_norm(x): what stands between two blocks of a
/// layer, with one start. A thread keeps to its own elements, so that all bits are those of the kernels apart.
template <class T>
DEVICE void add_branch(
    const float *y, i32 y_stride, const float *branch_weight, float *x, i32 x_stride, const float *weight,
    float epsilon, T *z, i32 z_stride, i32 width) {
    if (branch_weight) {
        add_rms_norm(y, y_stride, branch_weight, epsilon, x, x_stride, width);
    } else {
        for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) {
            x[i64(blockIdx.x) * x_stride + i] += y[i64(blockIdx.x) * y_stride + i];
        }
    }
    rms_norm<T>(x, x_stride, weight, epsilon, z, z_stride, width);
}

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias; [rows, width], grid [rows]. y may be x.
template <class T>
DEVICE void layer_norm(
    const float *x, i32 x_stride, const float *weight, const float *bias, float epsilon, T *y, i32 y_stride,
    i32 width) {
    x += i64(blockIdx.x) * x_stride;
    y += i64(blockIdx.x) * y_stride;
    float sum = 0;
#pragma unroll 8
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) sum += x[i];
    const float mean = block_sum(sum) / float(width);
    const float inverse = inverse_deviation(x, width, mean, epsilon);
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) {
        y[i] = narrow<T>((x[i] - mean) * inverse * weight[i] + bias[i]);
    }
}

KERNEL(rms_norm_f32, 256, 7, rms_norm<float>)
KERNEL(rms_norm_f16, 256, 7, rms_norm<f16>)
KERNEL(rms_norm_bf16, 256, 7, rms_norm<bf16>)
KERNEL(add_rms_norm, 256, 7, add_rms_norm)
KERNEL(add_branch_f32, 256, 10, add_branch<float>)
KERNEL(add_branch_f16, 256, 10, add_branch<f16>)
KERNEL(add_branch_bf16, 256, 10, add_branch<bf16>)
KERNEL(layer_norm_f32, 256, 8, layer_norm<float>)
KERNEL(layer_norm_f16, 256, 8, layer_norm<f16>)
KERNEL(layer_norm_bf16, 256, 8, layer_norm<bf16>)
