/// Products of bytes, sixteen rows at a time: what wide/int8.h is written in.
#ifndef MARTLET_NEON_PRODUCTS_H
#define MARTLET_NEON_PRODUCTS_H

#include "lanes.h"

#define MARTLET_TARGET "dotprod"
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

/// Sums of products on their way; here whole sums.
typedef ints partial;

enum {
    /// What the bytes of signed quants have more when they are multiplied.
    SIGNED_ZERO = 0,
};

/// Fours of quants of so many bits whose products a partial sum holds.
MARTLET_INLINE size_t fours_of_partial(size_t bits) {
    (void)bits;
    return 8;
}

MARTLET_INLINE ints to_ints(partial sums) { return sums; }

/// Signed quants as `add_products` takes them: as they are.
MARTLET_INLINE ints without_signs(ints w) { return w; }

/// sums + w . x, or w . x when `starts`: of each row four bytes, below 128 where they have no sign; x: four signed
/// bytes.
MARTLET_INLINE partial add_products(const bool starts, partial sums, ints w, const int8_t *x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    const int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(word));
    return MARTLET_PARTS_OF(
        partial, vdotq_s32(starts ? vdupq_n_s32(0) : sums.val[i], vreinterpretq_s8_s32(w.val[i]), four));
}

/// `add_products` of quants that had signs: `signs` is what `without_signs` was given.
MARTLET_INLINE partial add_signed_products(const bool starts, partial sums, ints w, ints signs, const int8_t *x) {
    (void)signs;
    return add_products(starts, sums, w, x);
}

#pragma clang attribute pop

#endif
