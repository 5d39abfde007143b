/// Norms over rows, 32 elements at a time, in the order of scalar/normalization.c.
#include "../kernels.h"

#if defined(__x86_64__)
#include <math.h>

#include "reduction.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { LANES = 32 };

static float sum_of_lanes(const float lanes[LANES]) {
    const __m256 low = _mm256_add_ps(_mm256_loadu_ps(lanes), _mm256_loadu_ps(lanes + 16));
    const __m256 high = _mm256_add_ps(_mm256_loadu_ps(lanes + 8), _mm256_loadu_ps(lanes + 24));
    return martlet_sum_of_8(_mm256_add_ps(low, high));
}

static float sum(const float *x, size_t width) {
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
#pragma clang loop unroll(full)
        for (size_t k = 0; k < 4; k++) sums[k] = _mm256_add_ps(sums[k], _mm256_loadu_ps(x + i + 8 * k));
    }
    float lanes[LANES];
    for (size_t k = 0; k < 4; k++) _mm256_storeu_ps(lanes + 8 * k, sums[k]);
    for (; i < width; i++) lanes[i % LANES] += x[i];
    return sum_of_lanes(lanes);
}

static float sum_of_squares(const float *x, size_t width, float mean) {
    const __m256 centre = _mm256_set1_ps(mean);
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
#pragma clang loop unroll(full)
        for (size_t k = 0; k < 4; k++) {
            const __m256 centred = _mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * k), centre);
            sums[k] = _mm256_fmadd_ps(centred, centred, sums[k]);
        }
    }
    float lanes[LANES];
    for (size_t k = 0; k < 4; k++) _mm256_storeu_ps(lanes + 8 * k, sums[k]);
    for (; i < width; i++) lanes[i % LANES] = fmaf(x[i] - mean, x[i] - mean, lanes[i % LANES]);
    return sum_of_lanes(lanes);
}

static float inverse_deviation(const float *x, size_t width, float mean, float epsilon) {
    return 1.0f / sqrtf(sum_of_squares(x, width, mean) / (float)width + epsilon);
}

void martlet_rms_norm_avx2(
    const float *x, size_t x_stride, const float *weight, float epsilon, float *y, size_t y_stride, size_t rows,
    size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const float inverse = inverse_deviation(x, width, 0, epsilon);
        const __m256 scale = _mm256_set1_ps(inverse);
        size_t i = 0;
        for (; i + 8 <= width; i += 8) {
            const __m256 normed = _mm256_mul_ps(_mm256_loadu_ps(x + i), scale);
            _mm256_storeu_ps(y + i, _mm256_mul_ps(normed, _mm256_loadu_ps(weight + i)));
        }
        for (; i < width; i++) y[i] = x[i] * inverse * weight[i];
    }
}

void martlet_add_rms_norm_avx2(
    const float *y, size_t y_stride, const float *weight, float epsilon, float *x, size_t x_stride, size_t rows,
    size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const float inverse = inverse_deviation(y, width, 0, epsilon);
        const __m256 scale = _mm256_set1_ps(inverse);
        size_t i = 0;
        for (; i + 8 <= width; i += 8) {
            const __m256 normed = _mm256_mul_ps(_mm256_loadu_ps(y + i), scale);
            const __m256 branch = _mm256_mul_ps(normed, _mm256_loadu_ps(weight + i));
            _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), branch));
        }
        for (; i < width; i++) x[i] = x[i] + y[i] * inverse * weight[i];
    }
}

void martlet_layer_norm_avx2(
    const float *x, size_t x_stride, const float *weight, const float *bias, float epsilon, float *y, size_t y_stride,
    size_t rows, size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const float mean = sum(x, width) / (float)width;
        const float inverse = inverse_deviation(x, width, mean, epsilon);
        const __m256 centre = _mm256_set1_ps(mean);
        const __m256 scale = _mm256_set1_ps(inverse);
        size_t i = 0;
        for (; i + 8 <= width; i += 8) {
            const __m256 normed = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), centre), scale);
            const __m256 scaled = _mm256_mul_ps(normed, _mm256_loadu_ps(weight + i));
            _mm256_storeu_ps(y + i, _mm256_add_ps(scaled, _mm256_loadu_ps(bias + i)));
        }
        for (; i < width; i++) y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
    }
}

#pragma clang attribute pop
#endif
