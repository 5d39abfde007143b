/// Sixteen numbers, one a row of a panel, in one register: what wide/ is written in.
#ifndef MARTLET_AVX512_LANES_H
#define MARTLET_AVX512_LANES_H

#include "../kernels.h"

#include <immintrin.h>

#define MARTLET_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c"
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_INLINE __attribute__((always_inline)) static inline

typedef struct lanes {
    __m512 all;
} lanes;

/// Sixteen words of fifth bits, the next column's lowest.
typedef struct fifths {
    __m512i all;
} fifths;

MARTLET_INLINE lanes load_f32(const float *p) { return (lanes){_mm512_loadu_ps(p)}; }

MARTLET_INLINE lanes load_f16(const void *p) {
    return (lanes){_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))};
}

MARTLET_INLINE lanes load_bf16(const void *p) {
    const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return (lanes){_mm512_castsi512_ps(_mm512_slli_epi32(words, 16))};
}

MARTLET_INLINE void store(float *p, lanes v) { _mm512_storeu_ps(p, v.all); }

MARTLET_INLINE lanes times(lanes a, lanes b) { return (lanes){_mm512_mul_ps(a.all, b.all)}; }

/// a * b + c, rounded once.
MARTLET_INLINE lanes times_plus(lanes a, lanes b, lanes c) {
    return (lanes){_mm512_fmadd_ps(a.all, b.all, c.all)};
}

/// a * b - c, rounded once.
MARTLET_INLINE lanes times_minus(lanes a, lanes b, lanes c) {
    return (lanes){_mm512_fmsub_ps(a.all, b.all, c.all)};
}

/// x in every lane.
MARTLET_INLINE lanes broadcast(const float *x) { return (lanes){_mm512_set1_ps(*x)}; }

/// Sixteen signed bytes.
MARTLET_INLINE lanes from_bytes(__m128i bytes) { return (lanes){_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))}; }

MARTLET_INLINE fifths load_fifths(const void *p) { return (fifths){_mm512_loadu_si512(p)}; }

/// 16 where the next fifth bit of a row is set, 0 elsewhere; the bits are used up.
MARTLET_INLINE __m128i take_fifths(fifths *bits) {
    const __mmask16 is_set = _mm512_test_epi32_mask(bits->all, _mm512_set1_epi32(1));
    bits->all = _mm512_srli_epi32(bits->all, 1);
    return _mm_maskz_set1_epi8(is_set, 16);
}

// MARK: Integers

/// Sixteen sums.
typedef struct ints {
    __m512i all;
} ints;

MARTLET_INLINE ints broadcast_int(int x) { return (ints){_mm512_set1_epi32(x)}; }

MARTLET_INLINE lanes from_ints(ints x) { return (lanes){_mm512_cvtepi32_ps(x.all)}; }

/// sums += w . x: of each row four unsigned bytes, w: [16][4]; x: four signed bytes. Sums are exact here whether or
/// not w has `whole` bytes.
MARTLET_INLINE ints add_products(ints sums, const uint8_t *w, const int8_t *x, const bool whole) {
    (void)whole;
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return (ints){_mm512_dpbusd_epi32(sums.all, _mm512_loadu_si512(w), _mm512_set1_epi32(word))};
}

#pragma clang attribute pop

#endif
