/// Sixteen rows of a panel at one column, as two vectors: what the panel readers of this folder share.
#ifndef MARTLET_AVX2_PANEL_H
#define MARTLET_AVX2_PANEL_H

#include "../kernels.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

/// Rows 0 through 7 and 8 through 15.
typedef struct pair {
    __m256 low, high;
} pair;

static inline pair load_f32(const float *p) {
    return (pair){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline pair load_f16(const void *p) {
    const __m128i *halves = p;
    return (pair){_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}

static inline pair load_bf16(const void *p) {
    const __m128i *halves = p;
    const __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves));
    const __m256i high = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves + 1));
    return (pair){
        _mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}

/// Sixteen signed bytes.
static inline pair from_bytes(__m128i bytes) {
    return (pair){
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

static inline pair times(pair a, pair b) {
    return (pair){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

/// a * b + c, rounded once.
static inline pair times_plus(pair a, pair b, pair c) {
    return (pair){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

/// a * b - c, rounded once.
static inline pair times_minus(pair a, pair b, pair c) {
    return (pair){_mm256_fmsub_ps(a.low, b.low, c.low), _mm256_fmsub_ps(a.high, b.high, c.high)};
}

static inline void store(float *p, pair v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
}

#pragma clang attribute pop

#endif
