// Horizontal sums by halves: the order of the loops over lanes in scalar/.
#ifndef MARTLET_AVX2_REDUCTION_H
#define MARTLET_AVX2_REDUCTION_H

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

/// Lane i + lane i + 4, then i + 2, then i + 1.
static inline float martlet_sum_of_8(__m256 x) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
    return _mm_cvtss_f32(sum);
}

/// The largest lane; the order is free, there being no NaN.
static inline float martlet_maximum_of_8(__m256 x) {
    __m128 best = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    best = _mm_max_ps(best, _mm_movehl_ps(best, best));
    best = _mm_max_ss(best, _mm_movehdup_ps(best));
    return _mm_cvtss_f32(best);
}

#pragma clang attribute pop

#endif
