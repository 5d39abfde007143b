// Rows of 8 bits, for products of many rows on tensor cores that are twice as fast with them.
//
// Every row has a scale of its own, its greatest magnitude over the largest value of the type, so that no row's bits
// depend on others. The scale of a row with a value that is infinite, or no number, is no number.
#ifndef MARTLET_EIGHT_BITS_CUH
#define MARTLET_EIGHT_BITS_CUH

#include "blocks.cuh"
#include "reduction.cuh"

/// Whole numbers from -127 to 127.
struct whole8 {
    static constexpr float largest = 127;

    /// x to the nearest, ties to even; at most half a step past `largest`.
    static DEVICE u32 bits(float x) { return bits_of(add_rounded(x, 0x1.8p+23f)) & 255; }
};

/// Floats of 4 bits of exponent and 3 of fraction (E4M3), from -448 to 448.
struct float8 {
    static constexpr float largest = 448;

    /// x to the nearest, ties to even; what is past `largest` becomes that.
    static DEVICE u32 bits(float x) {
        const u32 sign = bits_of(x) >> 24 & 0x80;
        const float size = fminf(fabsf(x), largest);
        // Below 2^-6 the steps are of 2^-9.
        if (size < 0x1p-6f) return sign | (bits_of(add_rounded(size * 512, 0x1p+23f)) & 15);
        const u32 wide = bits_of(size);
        return sign | (((wide + 0x7ffff + (wide >> 20 & 1)) >> 20) - (120 << 3));
    }
};

/// Row `first` + block of `rows` as 8 bits of type E. rows: [outputs, stride] of format F, of which `width` columns
/// count (a multiple of 8; of quantised rows all); y: [blocks, width], at a multiple of 8 bytes; scales: [blocks].
template <class E, class F>
DEVICE void quantize(const void *rows, i32 outputs, i32 stride, i32 first, i32 width, u8 *y, float *scales) {
    const planes<F> source(rows, outputs, stride);
    const i32 row = first + i32(blockIdx.x);
    float values[8], greatest = 0, spoilt = 0;
    for (i32 column = 8 * i32(threadIdx.x); column < width; column += 8 * i32(blockDim.x)) {
        source.read(row, column, values);
#pragma unroll
        for (i32 k = 0; k < 8; k++) {
            greatest = fmaxf(greatest, fabsf(values[k]));
            spoilt = fmaf(values[k], 0.0f, spoilt);
        }
    }
    greatest = block_max(greatest);
    // Of a row next to nothing the inverse would be infinite.
    const float inverse = greatest > 0x1p-100f ? E::largest / greatest : 0;
    for (i32 column = 8 * i32(threadIdx.x); column < width; column += 8 * i32(blockDim.x)) {
        source.read(row, column, values);
        vec2 words{0, 0};
#pragma unroll
        for (i32 k = 0; k < 4; k++) {
            words.x |= E::bits(values[k] * inverse) << (8 * k);
            words.y |= E::bits(values[k + 4] * inverse) << (8 * k);
        }
        *(vec2 *)(y + i64(blockIdx.x) * width + column) = words;
    }
    spoilt = block_sum(spoilt);
    if (threadIdx.x == 0) scales[blockIdx.x] = (greatest + spoilt) / E::largest;
}

/// y = sums scaled by row and column, + bias where there is one; sums: [rows, width] of S, thread i of a row has column
/// i, grid [ceil(width / 256), rows].
template <class S, class T>
DEVICE void scale_sums(
    const S *sums, i32 stride, const float *row_scales, const float *column_scales, const float *bias, T *y,
    i32 y_stride, i32 width) {
    const i32 i = i32(blockIdx.x * blockDim.x + threadIdx.x), row = i32(blockIdx.y);
    if (i >= width) return;
    const float sum = float(sums[i64(row) * stride + i]) * (row_scales[row] * column_scales[i]);
    y[i64(row) * y_stride + i] = narrow<T>(bias ? sum + bias[i] : sum);
}

#define EIGHT_BITS(F)                                    \
    KERNEL(quantize_i8_##F, 256, 7, quantize<whole8, F>) \
    KERNEL(quantize_e4m3_##F, 256, 7, quantize<float8, F>)
#define SCALED_SUMS(S, T) KERNEL(scale_##S##_##T, 256, 8, scale_sums<S, T>)

#endif
