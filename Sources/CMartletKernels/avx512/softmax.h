/// What streaming softmax does with sixteen scores of a query: what wide/short_attention.h is written in.
#ifndef MARTLET_AVX512_SOFTMAX_H
#define MARTLET_AVX512_SOFTMAX_H

#include "../scalar/exponential.h"
#include "../avx2/reduction.h"
#include "lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

/// 2^n for -126 <= n <= 127.
MARTLET_INLINE __m512 power_of_two(__m512i n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23));
}

/// The exponential of scalar/exponential.h with the same bits.
MARTLET_INLINE lanes exponential(lanes x) {
    const __m512 rounder = _mm512_set1_ps(MARTLET_EXP_ROUNDER);
    // The second operand is the result where one is NaN.
    __m512 clamped = _mm512_max_ps(_mm512_set1_ps(MARTLET_EXP_LOWEST), x.all);
    clamped = _mm512_min_ps(_mm512_set1_ps(MARTLET_EXP_HIGHEST), clamped);
    const __m512 shifted = _mm512_fmadd_ps(clamped, _mm512_set1_ps(MARTLET_EXP_LOG2E), rounder);
    const __m512 n = _mm512_sub_ps(shifted, rounder);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-MARTLET_EXP_LN2_HIGH), clamped);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-MARTLET_EXP_LN2_LOW), r);
    __m512 q = _mm512_fmadd_ps(_mm512_set1_ps(MARTLET_EXP_Q4), r, _mm512_set1_ps(MARTLET_EXP_Q3));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(MARTLET_EXP_Q2));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(MARTLET_EXP_Q1));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(MARTLET_EXP_Q0));
    const __m512 mantissa = _mm512_add_ps(_mm512_fmadd_ps(q, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1));
    const __m512i exponent = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_castps_si512(rounder));
    const __m512i half = _mm512_srai_epi32(exponent, 1);
    const __m512 first = power_of_two(half);
    const __m512 second = power_of_two(_mm512_sub_epi32(exponent, half));
    return (lanes){_mm512_mul_ps(_mm512_mul_ps(mantissa, first), second)};
}

/// The larger of each; b where one is NaN.
MARTLET_INLINE lanes larger(lanes a, lanes b) { return (lanes){_mm512_max_ps(a.all, b.all)}; }

/// The first `count` of v, behind them those of `rest`.
MARTLET_INLINE lanes first_of(lanes v, size_t count, lanes rest) {
    return (lanes){_mm512_mask_mov_ps(rest.all, (__mmask16)(count < 16 ? (1u << count) - 1 : 0xFFFF), v.all)};
}

MARTLET_INLINE float largest_of(lanes v) {
    return martlet_maximum_of_8(_mm256_max_ps(_mm512_castps512_ps256(v.all), _mm512_extractf32x8_ps(v.all, 1)));
}

/// By halves.
MARTLET_INLINE float sum_of(lanes v) {
    return martlet_sum_of_8(_mm256_add_ps(_mm512_castps512_ps256(v.all), _mm512_extractf32x8_ps(v.all, 1)));
}

/// Rounds to the nearest bf16, ties to even; no NaN, nothing that becomes infinite.
MARTLET_INLINE lanes rounded_to_bf16(lanes v) {
    const __m512i bits = _mm512_castps_si512(v.all);
    const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7FFF)));
    return (lanes){_mm512_castsi512_ps(_mm512_and_si512(sum, _mm512_set1_epi32((int)0xFFFF0000)))};
}

/// The upper halves of sixteen numbers: bf16, if they are such.
MARTLET_INLINE void store_bf16(uint16_t *p, lanes v) {
    const __m512i bits = _mm512_srli_epi32(_mm512_castps_si512(v.all), 16);
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(bits));
}

#pragma clang attribute pop

#endif
