// The exponential of scalar/exponential.h, eight at a time, with the same bits.
#ifndef MARTLET_AVX2_EXPONENTIAL_H
#define MARTLET_AVX2_EXPONENTIAL_H

#include <immintrin.h>

#include "../scalar/exponential.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

/// 2^n for -126 <= n <= 127.
static inline __m256 martlet_power_of_two_8(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

static inline __m256 martlet_exponential_8(__m256 x) {
    const __m256 rounder = _mm256_set1_ps(MARTLET_EXP_ROUNDER);
    // The second operand is the result where one is NaN.
    __m256 clamped = _mm256_max_ps(_mm256_set1_ps(MARTLET_EXP_LOWEST), x);
    clamped = _mm256_min_ps(_mm256_set1_ps(MARTLET_EXP_HIGHEST), clamped);
    const __m256 shifted = _mm256_fmadd_ps(clamped, _mm256_set1_ps(MARTLET_EXP_LOG2E), rounder);
    const __m256 n = _mm256_sub_ps(shifted, rounder);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-MARTLET_EXP_LN2_HIGH), clamped);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-MARTLET_EXP_LN2_LOW), r);
    __m256 q = _mm256_fmadd_ps(_mm256_set1_ps(MARTLET_EXP_Q4), r, _mm256_set1_ps(MARTLET_EXP_Q3));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(MARTLET_EXP_Q2));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(MARTLET_EXP_Q1));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(MARTLET_EXP_Q0));
    const __m256 mantissa = _mm256_add_ps(_mm256_fmadd_ps(q, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1));
    const __m256i exponent = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(rounder));
    const __m256i half = _mm256_srai_epi32(exponent, 1);
    const __m256 first = martlet_power_of_two_8(half);
    const __m256 second = martlet_power_of_two_8(_mm256_sub_epi32(exponent, half));
    return _mm256_mul_ps(_mm256_mul_ps(mantissa, first), second);
}

#pragma clang attribute pop

#endif
