/// Sixteen bytes, one a row of a panel: what wide/panel.h reads the scales of K types with.
#ifndef MARTLET_AVX2_BYTES_H
#define MARTLET_AVX2_BYTES_H

#include <immintrin.h>
#include <stddef.h>

#pragma clang attribute push(__attribute__((target("avx2"), always_inline)), apply_to = function)

typedef __m128i row_bytes;

static inline row_bytes load_row_bytes(const void *p) { return _mm_loadu_si128(p); }

/// Every byte shifted right by `count`, then masked: no bit of a neighbour is left.
static inline row_bytes bits_of_bytes(row_bytes x, size_t count, char mask) {
    return _mm_and_si128(_mm_srl_epi16(x, _mm_cvtsi32_si128((int)count)), _mm_set1_epi8(mask));
}

/// Both, `upper` 4 bits up; its upper four bits are 0.
static inline row_bytes joined_bytes(row_bytes lower, row_bytes upper) {
    return _mm_or_si128(lower, _mm_slli_epi16(upper, 4));
}

#pragma clang attribute pop

#endif
