// f32 to operands: thread i of a row has column i; [rows, width], grid [ceil(width / 256), rows].
#include "device.cuh"

/// y = x to the nearest, ties to even; what is too large for T becomes infinite.
template <class T> DEVICE void narrow_rows(const float *x, i32 x_stride, T *y, i32 y_stride, i32 width) {
    const i32 i = i32(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < width) y[i64(blockIdx.y) * y_stride + i] = narrow<T>(x[i64(blockIdx.y) * x_stride + i]);
}

KERNEL(narrow_f32, 256, 5, narrow_rows<float>)
KERNEL(narrow_f16, 256, 5, narrow_rows<f16>)
KERNEL(narrow_bf16, 256, 5, narrow_rows<bf16>)
