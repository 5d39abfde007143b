/// Sixteen numbers, one a row of a panel, in two registers of eight: what wide/ is written in.
#ifndef MARTLET_AVX2_LANES_H
#define MARTLET_AVX2_LANES_H

#include "../kernels.h"

#include <immintrin.h>

#include "bytes.h"

#define MARTLET_TARGET "avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_INLINE __attribute__((always_inline)) static inline

/// Rows 0 through 7 and 8 through 15.
typedef struct lanes {
    __m256 low, high;
} lanes;

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

/// c - a * b, rounded once.
MARTLET_INLINE lanes minus_times(lanes a, lanes b, lanes c) {
    return (lanes){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

MARTLET_INLINE lanes plus(lanes a, lanes b) {
    return (lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

MARTLET_INLINE lanes minus(lanes a, lanes b) {
    return (lanes){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

/// x in every lane.
MARTLET_INLINE lanes broadcast(const float *x) {
    const __m256 value = _mm256_broadcast_ss(x);
    return (lanes){value, value};
}

/// Sixteen signed bytes.
MARTLET_INLINE lanes from_bytes(row_bytes bytes) {
    return (lanes){
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

// MARK: Integers

/// Sixteen words: one a row, or four bytes of each row.
typedef struct ints {
    __m256i low, high;
} ints;

MARTLET_INLINE ints load_ints(const void *p) {
    const __m256i *words = p;
    return (ints){_mm256_loadu_si256(words), _mm256_loadu_si256(words + 1)};
}

MARTLET_INLINE lanes from_ints(ints x) { return (lanes){_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }

MARTLET_INLINE ints add_ints(ints a, ints b) {
    return (ints){_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}

/// The words of x `count` bits down, each byte of them under `mask`.
MARTLET_INLINE ints bits_of(ints x, size_t count, char mask) {
    const __m256i bits = _mm256_set1_epi8(mask);
    return (ints){
        _mm256_and_si256(_mm256_srli_epi32(x.low, (int)count), bits),
        _mm256_and_si256(_mm256_srli_epi32(x.high, (int)count), bits)};
}

/// Both, `upper` 4 bits up.
MARTLET_INLINE ints joined(ints lower, ints upper) {
    return (ints){
        _mm256_or_si256(lower.low, _mm256_slli_epi32(upper.low, 4)),
        _mm256_or_si256(lower.high, _mm256_slli_epi32(upper.high, 4))};
}

MARTLET_INLINE __m256i spread_bits_8(__m256i words, size_t first) {
    const __m256i four = _mm256_and_si256(_mm256_srli_epi32(words, (int)first), _mm256_set1_epi32(15));
    const __m256i spread = _mm256_mullo_epi32(four, _mm256_set1_epi32(1 | 1 << 7 | 1 << 14 | 1 << 21));
    return _mm256_and_si256(spread, _mm256_set1_epi8(1));
}

/// Bit `first + i` of a word as byte i, for four.
MARTLET_INLINE ints spread_bits(ints words, size_t first) {
    return (ints){spread_bits_8(words.low, first), spread_bits_8(words.high, first)};
}

MARTLET_INLINE ints minus_bytes(ints x, char y) {
    const __m256i bytes = _mm256_set1_epi8(y);
    return (ints){_mm256_sub_epi8(x.low, bytes), _mm256_sub_epi8(x.high, bytes)};
}

/// Byte `i` of each word, with its sign.
MARTLET_INLINE lanes from_byte_of(ints x, const size_t i) {
    const int up = (int)(24 - 8 * i);
    return (lanes){
        _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(x.low, up), 24)),
        _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(x.high, up), 24))};
}

#pragma clang attribute pop

#endif
