/// Products of bytes, sixteen rows at a time: what wide/int8.h is written in.
#ifndef MARTLET_AVX2_PRODUCTS_H
#define MARTLET_AVX2_PRODUCTS_H

#include "lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

/// Sums of products on their way: of each row two, of 16 bits.
typedef struct partial {
    __m256i low, high;
} partial;

enum {
    /// What the bytes of signed quants have more when they are multiplied.
    SIGNED_ZERO = 0,
};

/// Fours of quants of so many bits whose products a partial sum holds: 2 * 15 * 127 * 8, 2 * 31 * 127 * 4,
/// 2 * 63 * 127 * 2 and 2 * 128 * 127 fit 16 bits.
MARTLET_INLINE size_t fours_of_partial(size_t bits) { return bits == 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1; }

MARTLET_INLINE ints to_ints(partial sums) {
    const __m256i one = _mm256_set1_epi16(1);
    return (ints){_mm256_madd_epi16(sums.low, one), _mm256_madd_epi16(sums.high, one)};
}

/// Signed quants as `add_products` takes them.
MARTLET_INLINE ints without_signs(ints w) { return (ints){_mm256_abs_epi8(w.low), _mm256_abs_epi8(w.high)}; }

MARTLET_INLINE partial add_partial(const bool starts, partial sums, __m256i low, __m256i high) {
    if (starts) return (partial){low, high};
    return (partial){_mm256_add_epi16(sums.low, low), _mm256_add_epi16(sums.high, high)};
}

MARTLET_INLINE __m256i broadcast_four(const int8_t *x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return _mm256_set1_epi32(word);
}

/// sums + w . x, or w . x when `starts`: of each row four bytes without signs; x: four signed bytes.
MARTLET_INLINE partial add_products(const bool starts, partial sums, ints w, const int8_t *x) {
    const __m256i four = broadcast_four(x);
    return add_partial(starts, sums, _mm256_maddubs_epi16(w.low, four), _mm256_maddubs_epi16(w.high, four));
}

/// `add_products` of quants that had signs: `signs` is what `without_signs` was given.
MARTLET_INLINE partial add_signed_products(const bool starts, partial sums, ints w, ints signs, const int8_t *x) {
    const __m256i four = broadcast_four(x);
    const __m256i low = _mm256_sign_epi8(four, signs.low), high = _mm256_sign_epi8(four, signs.high);
    return add_partial(starts, sums, _mm256_maddubs_epi16(w.low, low), _mm256_maddubs_epi16(w.high, high));
}

#pragma clang attribute pop

#endif
