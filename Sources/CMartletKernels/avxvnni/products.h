/// Products of bytes, sixteen rows at a time, on processors that have the byte products of AVX-512 without its
/// registers: what wide/int8.h is written in.
#ifndef MARTLET_AVXVNNI_PRODUCTS_H
#define MARTLET_AVXVNNI_PRODUCTS_H

#include "../avx2/lanes.h"

#undef MARTLET_TARGET
#define MARTLET_TARGET "avx2,fma,f16c,avxvnni"
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

/// Sums of products on their way; here whole sums.
typedef ints partial;

enum {
    /// What the bytes of signed quants have more when they are multiplied.
    SIGNED_ZERO = 128,
};

/// Fours of quants of so many bits whose products a partial sum holds.
MARTLET_INLINE size_t fours_of_partial(size_t bits) {
    (void)bits;
    return 8;
}

MARTLET_INLINE ints to_ints(partial sums) { return sums; }

/// Signed quants as `add_products` takes them.
MARTLET_INLINE ints without_signs(ints w) {
    const __m256i sign = _mm256_set1_epi8(-128);
    return (ints){_mm256_xor_si256(w.low, sign), _mm256_xor_si256(w.high, sign)};
}

/// sums + w . x, or w . x when `starts`: of each row four bytes without signs; x: four signed bytes.
MARTLET_INLINE partial add_products(const bool starts, partial sums, ints w, const int8_t *x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    const __m256i four = _mm256_set1_epi32(word);
    const partial from = starts ? (partial){_mm256_setzero_si256(), _mm256_setzero_si256()} : sums;
    return (partial){
        _mm256_dpbusd_avx_epi32(from.low, w.low, four), _mm256_dpbusd_avx_epi32(from.high, w.high, four)};
}

/// `add_products` of quants that had signs: `signs` is what `without_signs` was given.
MARTLET_INLINE partial add_signed_products(const bool starts, partial sums, ints w, ints signs, const int8_t *x) {
    (void)signs;
    return add_products(starts, sums, w, x);
}

#pragma clang attribute pop

#endif
