/// Activation functions, eight at a time.
#include "../kernels.h"

#if defined(__x86_64__)
#include "exponential.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

void martlet_silu_multiply_avx2(
    const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t width) {
    const __m256 one = _mm256_set1_ps(1);
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const size_t whole = width / 8 * 8;
        for (size_t i = 0; i < whole; i += 8) {
            const __m256 gate = _mm256_loadu_ps(x + i);
            const __m256 below = _mm256_add_ps(one, martlet_exponential_8(_mm256_xor_ps(gate, sign)));
            _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_div_ps(gate, below), _mm256_loadu_ps(x + width + i)));
        }
        for (size_t i = whole; i < width; i++) {
            y[i] = x[i] / (1.0f + martlet_exponential(-x[i])) * x[width + i];
        }
    }
}

#pragma clang attribute pop
#endif
