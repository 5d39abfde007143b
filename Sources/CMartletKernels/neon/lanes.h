/// Sixteen numbers, one a row of a panel, in four registers of four: what wide/ is written in.
#ifndef MARTLET_NEON_LANES_H
#define MARTLET_NEON_LANES_H

#include "../kernels.h"

#include <arm_neon.h>

#define MARTLET_INLINE __attribute__((always_inline)) static inline

/// Rows 4i through 4i + 3 in register i.
typedef float32x4x4_t lanes;

/// A value of `type` whose register i is `part`.
#define MARTLET_PARTS_OF(type, part)                                                                                   \
    ({                                                                                                                 \
        type all;                                                                                                      \
        _Pragma("clang loop unroll(full)") for (size_t i = 0; i < 4; i++) all.val[i] = part;                           \
        all;                                                                                                           \
    })

MARTLET_INLINE uint16x4_t load_halves(const void *p) { return vreinterpret_u16_u8(vld1_u8(p)); }

MARTLET_INLINE lanes load_f32(const float *p) { return MARTLET_PARTS_OF(lanes, vld1q_f32(p + 4 * i)); }

MARTLET_INLINE lanes load_f16(const void *p) {
    const char *halves = p;
    return MARTLET_PARTS_OF(lanes, vcvt_f32_f16(vreinterpret_f16_u16(load_halves(halves + 8 * i))));
}

MARTLET_INLINE lanes load_bf16(const void *p) {
    const char *halves = p;
    return MARTLET_PARTS_OF(lanes, vreinterpretq_f32_u32(vshll_n_u16(load_halves(halves + 8 * i), 16)));
}

MARTLET_INLINE void store(float *p, lanes v) {
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 4; i++) vst1q_f32(p + 4 * i, v.val[i]);
}

MARTLET_INLINE lanes times(lanes a, lanes b) { return MARTLET_PARTS_OF(lanes, vmulq_f32(a.val[i], b.val[i])); }

/// a * b + c, rounded once.
MARTLET_INLINE lanes times_plus(lanes a, lanes b, lanes c) {
    return MARTLET_PARTS_OF(lanes, vfmaq_f32(c.val[i], a.val[i], b.val[i]));
}

/// a * b - c, rounded once.
MARTLET_INLINE lanes times_minus(lanes a, lanes b, lanes c) {
    return MARTLET_PARTS_OF(lanes, vfmaq_f32(vnegq_f32(c.val[i]), a.val[i], b.val[i]));
}

/// c - a * b, rounded once.
MARTLET_INLINE lanes minus_times(lanes a, lanes b, lanes c) {
    return MARTLET_PARTS_OF(lanes, vfmsq_f32(c.val[i], a.val[i], b.val[i]));
}

MARTLET_INLINE lanes plus(lanes a, lanes b) { return MARTLET_PARTS_OF(lanes, vaddq_f32(a.val[i], b.val[i])); }

MARTLET_INLINE lanes minus(lanes a, lanes b) { return MARTLET_PARTS_OF(lanes, vsubq_f32(a.val[i], b.val[i])); }

/// x in every lane.
MARTLET_INLINE lanes broadcast(const float *x) {
    const float32x4_t value = vld1q_dup_f32(x);
    return (lanes){{value, value, value, value}};
}

// MARK: Bytes

/// Sixteen bytes, one a row.
typedef uint8x16_t row_bytes;

MARTLET_INLINE row_bytes load_row_bytes(const void *p) { return vld1q_u8(p); }

/// Every byte shifted right by `count`, then masked: no bit of a neighbour is left.
MARTLET_INLINE row_bytes bits_of_bytes(row_bytes x, size_t count, char mask) {
    return vandq_u8(vshlq_u8(x, vdupq_n_s8((int8_t)-(int)count)), vdupq_n_u8((uint8_t)mask));
}

/// Both, `upper` 4 bits up; its upper four bits are 0.
MARTLET_INLINE row_bytes joined_bytes(row_bytes lower, row_bytes upper) {
    return vorrq_u8(lower, vshlq_n_u8(upper, 4));
}

/// Sixteen signed bytes.
MARTLET_INLINE lanes from_bytes(row_bytes bytes) {
    const int8x16_t x = vreinterpretq_s8_u8(bytes);
    const int16x8_t low = vmovl_s8(vget_low_s8(x)), high = vmovl_s8(vget_high_s8(x));
    return (lanes){{
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
}

// MARK: Integers

/// Sixteen words: one a row, or four bytes of each row.
typedef int32x4x4_t ints;

MARTLET_INLINE ints load_ints(const void *p) {
    const uint8_t *words = p;
    return MARTLET_PARTS_OF(ints, vreinterpretq_s32_u8(vld1q_u8(words + 16 * i)));
}

MARTLET_INLINE lanes from_ints(ints x) { return MARTLET_PARTS_OF(lanes, vcvtq_f32_s32(x.val[i])); }

MARTLET_INLINE ints add_ints(ints a, ints b) { return MARTLET_PARTS_OF(ints, vaddq_s32(a.val[i], b.val[i])); }

/// The words of x `count` bits down, each byte of them under `mask`.
MARTLET_INLINE ints bits_of(ints x, size_t count, char mask) {
    // Bytes instead of words: what the neighbour would have brought is above the mask.
    const int8x16_t down = vdupq_n_s8((int8_t)-(int)count);
    const uint8x16_t bits = vdupq_n_u8((uint8_t)mask);
    return MARTLET_PARTS_OF(
        ints, vreinterpretq_s32_u8(vandq_u8(vshlq_u8(vreinterpretq_u8_s32(x.val[i]), down), bits)));
}

/// Both, `upper` 4 bits up.
MARTLET_INLINE ints joined(ints lower, ints upper) {
    return MARTLET_PARTS_OF(ints, vorrq_s32(lower.val[i], vshlq_n_s32(upper.val[i], 4)));
}

MARTLET_INLINE int32x4_t spread_bits_4(int32x4_t words, size_t first) {
    const int32x4_t down = vshlq_s32(words, vdupq_n_s32(-(int)first));
    const int32x4_t spread = vmulq_s32(vandq_s32(down, vdupq_n_s32(15)), vdupq_n_s32(1 | 1 << 7 | 1 << 14 | 1 << 21));
    return vandq_s32(spread, vdupq_n_s32(0x01010101));
}

/// Bit `first + i` of a word as byte i, for four.
MARTLET_INLINE ints spread_bits(ints words, size_t first) {
    return MARTLET_PARTS_OF(ints, spread_bits_4(words.val[i], first));
}

MARTLET_INLINE ints minus_bytes(ints x, char y) {
    const int8x16_t bytes = vdupq_n_s8((int8_t)y);
    return MARTLET_PARTS_OF(ints, vreinterpretq_s32_s8(vsubq_s8(vreinterpretq_s8_s32(x.val[i]), bytes)));
}

/// Byte `byte` of each word, with its sign.
MARTLET_INLINE lanes from_byte_of(ints x, const size_t byte) {
    const int32x4_t up = vdupq_n_s32((int)(24 - 8 * byte));
    return MARTLET_PARTS_OF(lanes, vcvtq_f32_s32(vshrq_n_s32(vshlq_s32(x.val[i], up), 24)));
}

#endif
