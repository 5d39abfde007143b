/// Sixteen numbers, one a row of a panel, in one register: what wide/ is written in.
#ifndef MARTLET_AVX512_LANES_H
#define MARTLET_AVX512_LANES_H

#include "../kernels.h"

#include <immintrin.h>

#include "../avx2/bytes.h"

#define MARTLET_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c"
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_INLINE __attribute__((always_inline)) static inline

typedef struct lanes {
    __m512 all;
} lanes;

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

/// c - a * b, rounded once.
MARTLET_INLINE lanes minus_times(lanes a, lanes b, lanes c) {
    return (lanes){_mm512_fnmadd_ps(a.all, b.all, c.all)};
}

MARTLET_INLINE lanes plus(lanes a, lanes b) { return (lanes){_mm512_add_ps(a.all, b.all)}; }

MARTLET_INLINE lanes minus(lanes a, lanes b) {
    return (lanes){_mm512_sub_ps(a.all, b.all)};
}

/// x in every lane.
MARTLET_INLINE lanes broadcast(const float *x) { return (lanes){_mm512_set1_ps(*x)}; }

/// Sixteen signed bytes.
MARTLET_INLINE lanes from_bytes(row_bytes bytes) { return (lanes){_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))}; }

// MARK: Integers

/// Sixteen words: one a row, or four bytes of each row.
typedef struct ints {
    __m512i all;
} ints;

MARTLET_INLINE ints load_ints(const void *p) { return (ints){_mm512_loadu_si512(p)}; }

MARTLET_INLINE lanes from_ints(ints x) { return (lanes){_mm512_cvtepi32_ps(x.all)}; }

MARTLET_INLINE ints add_ints(ints a, ints b) { return (ints){_mm512_add_epi32(a.all, b.all)}; }

/// The words of x `count` bits down, each byte of them under `mask`.
MARTLET_INLINE ints bits_of(ints x, size_t count, char mask) {
    return (ints){_mm512_and_si512(_mm512_srli_epi32(x.all, (unsigned)count), _mm512_set1_epi8(mask))};
}

/// Both, `upper` 4 bits up.
MARTLET_INLINE ints joined(ints lower, ints upper) {
    return (ints){_mm512_or_si512(lower.all, _mm512_slli_epi32(upper.all, 4))};
}

/// Bit `first + i` of a word as byte i, for four.
MARTLET_INLINE ints spread_bits(ints words, size_t first) {
    const __m512i four = _mm512_and_si512(_mm512_srli_epi32(words.all, (unsigned)first), _mm512_set1_epi32(15));
    const __m512i spread = _mm512_mullo_epi32(four, _mm512_set1_epi32(1 | 1 << 7 | 1 << 14 | 1 << 21));
    return (ints){_mm512_and_si512(spread, _mm512_set1_epi8(1))};
}

MARTLET_INLINE ints minus_bytes(ints x, char y) { return (ints){_mm512_sub_epi8(x.all, _mm512_set1_epi8(y))}; }

/// Byte `i` of each word, with its sign.
MARTLET_INLINE lanes from_byte_of(ints x, const size_t i) {
    return (lanes){_mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(x.all, (unsigned)(24 - 8 * i)), 24))};
}

#pragma clang attribute pop

#endif
