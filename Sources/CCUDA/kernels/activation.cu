// Activation functions and sums, element by element: thread i of a row has column i; grid [ceil(width / 256), rows].
// The arithmetic is the CPU's, in f32; only what is stored in T is rounded to it.
#include "silu.cuh"

/// This thread's column.
DEVICE i32 column() { return i32(blockIdx.x * blockDim.x + threadIdx.x); }

/// y[i] = silu(x[i]) * x[width + i]; x: [rows, 2 * width] gate then up, y: [rows, width].
template <class T> DEVICE void silu_multiply(const T *x, i32 x_stride, T *y, i32 y_stride, i32 width) {
    const i32 i = column();
    if (i >= width) return;
    x += i64(blockIdx.y) * x_stride;
    y[i64(blockIdx.y) * y_stride + i] = narrow<T>(silu(widen(x[i])) * widen(x[i64(width) + i]));
}

/// Exact (erf) GELU in place, rounded once from double; x: [rows, width].
DEVICE void gelu(float *x, i32 stride, i32 width) {
    const i32 i = column();
    if (i >= width) return;
    x += i64(blockIdx.y) * stride + i;
    // The complement keeps relative accuracy where 1 + erf would cancel.
    *x = float(0.5 * double(*x) * erfc(-0.70710678118654752440 * double(*x)));
}

/// x += y; [rows, width].
DEVICE void add(const float *y, i32 y_stride, float *x, i32 x_stride, i32 width) {
    const i32 i = column();
    if (i < width) x[i64(blockIdx.y) * x_stride + i] += y[i64(blockIdx.y) * y_stride + i];
}

/// y += bias in every row; y: [rows, width].
template <class T> DEVICE void add_bias(const float *bias, T *y, i32 stride, i32 width) {
    const i32 i = column();
    if (i >= width) return;
    y += i64(blockIdx.y) * stride + i;
    *y = narrow<T>(widen(*y) + bias[i]);
}

KERNEL(silu_multiply_f32, 256, 5, silu_multiply<float>)
KERNEL(silu_multiply_f16, 256, 5, silu_multiply<f16>)
KERNEL(silu_multiply_bf16, 256, 5, silu_multiply<bf16>)
KERNEL(gelu, 256, 3, gelu)
KERNEL(add, 256, 5, add)
KERNEL(add_bias_f32, 256, 4, add_bias<float>)
KERNEL(add_bias_f16, 256, 4, add_bias<f16>)
KERNEL(add_bias_bf16, 256, 4, add_bias<bf16>)
