/// Sixteen numbers, one a row of a panel, in two registers of eight: what wide/ is written in.
#ifndef MARTLET_AVX2_LANES_H
#define MARTLET_AVX2_LANES_H

#include "../kernels.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define MARTLET_INLINE __attribute__((always_inline)) static inline

/// Rows 0 through 7 and 8 through 15.
typedef struct lanes {
    __m256 low, high;
} lanes;

/// Sixteen words of fifth bits, the next column's lowest.
typedef struct fifths {
    __m256i low, high;
} fifths;

MARTLET_INLINE lanes load_f32(const float *p) {
    return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

MARTLET_INLINE lanes load_f16(const void *p) {
    const __m128i *halves = p;
    return (lanes){_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}

MARTLET_INLINE lanes load_bf16(const void *p) {
    const __m128i *halves = p;
    const __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves));
    const __m256i high = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves + 1));
    return (lanes){
        _mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}

MARTLET_INLINE void store(float *p, lanes v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
}

MARTLET_INLINE lanes times(lanes a, lanes b) {
    return (lanes){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

/// a * b + c, rounded once.
MARTLET_INLINE lanes times_plus(lanes a, lanes b, lanes c) {
    return (lanes){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

/// a * b - c, rounded once.
MARTLET_INLINE lanes times_minus(lanes a, lanes b, lanes c) {
    return (lanes){_mm256_fmsub_ps(a.low, b.low, c.low), _mm256_fmsub_ps(a.high, b.high, c.high)};
}

/// x in every lane.
MARTLET_INLINE lanes broadcast(const float *x) {
    const __m256 value = _mm256_broadcast_ss(x);
    return (lanes){value, value};
}

/// Sixteen signed bytes.
MARTLET_INLINE lanes from_bytes(__m128i bytes) {
    return (lanes){
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

MARTLET_INLINE fifths load_fifths(const void *p) {
    const __m256i *words = p;
    return (fifths){_mm256_loadu_si256(words), _mm256_loadu_si256(words + 1)};
}

/// Sixteen quants of five bits: nibbles plus `clear` or `set` by the next fifth bit of each row, which is used up.
MARTLET_INLINE lanes with_fifth_bits(__m128i nibbles, fifths *bits, int clear, int set) {
    const __m256 no = _mm256_castsi256_ps(_mm256_set1_epi32(clear)), yes = _mm256_castsi256_ps(_mm256_set1_epi32(set));
    const __m256 low = _mm256_castsi256_ps(_mm256_slli_epi32(bits->low, 31));
    const __m256 high = _mm256_castsi256_ps(_mm256_slli_epi32(bits->high, 31));
    bits->low = _mm256_srli_epi32(bits->low, 1);
    bits->high = _mm256_srli_epi32(bits->high, 1);
    const __m256i lower = _mm256_cvtepu8_epi32(nibbles);
    const __m256i upper = _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(nibbles, nibbles));
    return (lanes){
        _mm256_cvtepi32_ps(_mm256_add_epi32(lower, _mm256_castps_si256(_mm256_blendv_ps(no, yes, low)))),
        _mm256_cvtepi32_ps(_mm256_add_epi32(upper, _mm256_castps_si256(_mm256_blendv_ps(no, yes, high))))};
}

#pragma clang attribute pop

#endif
