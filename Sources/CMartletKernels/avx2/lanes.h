/// Sixteen numbers, one a row of a panel, in two registers of eight: what wide/ is written in.
#ifndef MARTLET_AVX2_LANES_H
#define MARTLET_AVX2_LANES_H

#include "../kernels.h"

#include <immintrin.h>

#define MARTLET_TARGET "avx2,fma,f16c"
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

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

/// 16 where the next fifth bit of a row is set, 0 elsewhere; the bits are used up.
MARTLET_INLINE __m128i take_fifths(fifths *bits) {
    const __m256i one = _mm256_set1_epi32(1);
    const __m256i words = _mm256_packs_epi32(_mm256_and_si256(bits->low, one), _mm256_and_si256(bits->high, one));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
    bits->low = _mm256_srli_epi32(bits->low, 1);
    bits->high = _mm256_srli_epi32(bits->high, 1);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
    return _mm_slli_epi16(bytes, 4);
}

// MARK: Integers

/// Sixteen sums.
typedef struct ints {
    __m256i low, high;
} ints;

MARTLET_INLINE ints broadcast_int(int x) { return (ints){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }

MARTLET_INLINE lanes from_ints(ints x) { return (lanes){_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }

/// a + w . x of eight rows: four bytes each of w, of at most 7 bits, and the four of x in every lane.
MARTLET_INLINE __m256i add_products_8(__m256i a, __m256i w, __m256i x) {
    return _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}

/// sums += w . x: of each row four unsigned bytes, w: [16][4]; x: four signed bytes. `whole`: the bytes of w may have
/// eight bits, whose products are added by halves, since 16 bits hold no two of them.
MARTLET_INLINE ints add_products(ints sums, const uint8_t *w, const int8_t *x, const bool whole) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    const __m256i four = _mm256_set1_epi32(word);
    const __m256i low = _mm256_loadu_si256((const __m256i *)w), high = _mm256_loadu_si256((const __m256i *)(w + 32));
    if (!whole) return (ints){add_products_8(sums.low, low, four), add_products_8(sums.high, high, four)};
    const __m256i mask = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1), sixteen = _mm256_set1_epi16(16);
    const __m256i low_lower = _mm256_and_si256(low, mask), high_lower = _mm256_and_si256(high, mask);
    const __m256i low_upper = _mm256_and_si256(_mm256_srli_epi16(low, 4), mask);
    const __m256i high_upper = _mm256_and_si256(_mm256_srli_epi16(high, 4), mask);
    sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(_mm256_maddubs_epi16(low_lower, four), one));
    sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(_mm256_maddubs_epi16(high_lower, four), one));
    sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(_mm256_maddubs_epi16(low_upper, four), sixteen));
    sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(_mm256_maddubs_epi16(high_upper, four), sixteen));
    return sums;
}

#pragma clang attribute pop

#endif
