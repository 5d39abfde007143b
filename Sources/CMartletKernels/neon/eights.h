/// Eight numbers at a time, in two registers: what wide/attention.h weighs scores and copies tiles with.
#ifndef MARTLET_NEON_EIGHTS_H
#define MARTLET_NEON_EIGHTS_H

#include <arm_neon.h>
#include <stddef.h>

#include "../scalar/exponential.h"

#pragma clang attribute push(__attribute__((always_inline)), apply_to = function)

/// Lanes 0 through 3 and 4 through 7.
typedef float32x4x2_t eight;

static inline eight load_8_f32(const void *p) {
    const float *x = p;
    return (eight){{vld1q_f32(x), vld1q_f32(x + 4)}};
}

static inline eight load_8_f16(const void *p) {
    const float16x8_t halves = vreinterpretq_f16_u8(vld1q_u8(p));
    return (eight){{vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)}};
}

static inline eight load_8_bf16(const void *p) {
    const uint16x8_t halves = vreinterpretq_u16_u8(vld1q_u8(p));
    return (eight){{
        vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16)),
        vreinterpretq_f32_u32(vshll_high_n_u16(halves, 16))}};
}

/// Eight signed bytes.
static inline eight load_8_bytes(const void *p) {
    const int16x8_t x = vmovl_s8(vld1_s8(p));
    return (eight){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(x))), vcvtq_f32_s32(vmovl_high_s16(x))}};
}

static inline void store_8(float *p, eight x) {
    vst1q_f32(p, x.val[0]);
    vst1q_f32(p + 4, x.val[1]);
}

/// x in every lane.
static inline eight fill_8(float x) { return (eight){{vdupq_n_f32(x), vdupq_n_f32(x)}}; }

static inline eight plus_8(eight a, eight b) {
    return (eight){{vaddq_f32(a.val[0], b.val[0]), vaddq_f32(a.val[1], b.val[1])}};
}

static inline eight minus_8(eight a, eight b) {
    return (eight){{vsubq_f32(a.val[0], b.val[0]), vsubq_f32(a.val[1], b.val[1])}};
}

static inline eight times_8(eight a, eight b) {
    return (eight){{vmulq_f32(a.val[0], b.val[0]), vmulq_f32(a.val[1], b.val[1])}};
}

/// a * b + c, rounded once.
static inline eight times_plus_8(eight a, eight b, eight c) {
    return (eight){{vfmaq_f32(c.val[0], a.val[0], b.val[0]), vfmaq_f32(c.val[1], a.val[1], b.val[1])}};
}

static inline float32x4_t greater_4(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

/// a > b ? a : b, so that a NaN gives b.
static inline eight greater_8(eight a, eight b) {
    return (eight){{greater_4(a.val[0], b.val[0]), greater_4(a.val[1], b.val[1])}};
}

/// The first `count` lanes of x, the others of `rest`; a count may be negative or above 8.
static inline eight first_8(int count, eight x, eight rest) {
    const int32_t order[] = {0, 1, 2, 3};
    const int32x4_t lanes = vld1q_s32(order);
    return (eight){{
        vbslq_f32(vcgtq_s32(vdupq_n_s32(count), lanes), x.val[0], rest.val[0]),
        vbslq_f32(vcgtq_s32(vdupq_n_s32(count - 4), lanes), x.val[1], rest.val[1])}};
}

/// The largest lane; the order is free, there being no NaN.
static inline float martlet_maximum_of_8(eight x) { return vmaxvq_f32(vmaxq_f32(x.val[0], x.val[1])); }

/// Lane i + lane i + 4, then i + 2, then i + 1.
static inline float martlet_sum_of_8(eight x) {
    const float32x4_t four = vaddq_f32(x.val[0], x.val[1]);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/// 2^n for -126 <= n <= 127.
static inline float32x4_t martlet_power_of_two_4(int32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/// The exponential of scalar/exponential.h with the same bits.
static inline float32x4_t martlet_exponential_4(float32x4_t x) {
    const float32x4_t rounder = vdupq_n_f32(MARTLET_EXP_ROUNDER), lowest = vdupq_n_f32(MARTLET_EXP_LOWEST);
    const float32x4_t highest = vdupq_n_f32(MARTLET_EXP_HIGHEST);
    float32x4_t clamped = greater_4(lowest, x);
    clamped = vbslq_f32(vcltq_f32(highest, clamped), highest, clamped);
    const float32x4_t shifted = vfmaq_f32(rounder, clamped, vdupq_n_f32(MARTLET_EXP_LOG2E));
    const float32x4_t n = vsubq_f32(shifted, rounder);
    float32x4_t r = vfmaq_f32(clamped, n, vdupq_n_f32(-MARTLET_EXP_LN2_HIGH));
    r = vfmaq_f32(r, n, vdupq_n_f32(-MARTLET_EXP_LN2_LOW));
    float32x4_t q = vfmaq_f32(vdupq_n_f32(MARTLET_EXP_Q3), vdupq_n_f32(MARTLET_EXP_Q4), r);
    q = vfmaq_f32(vdupq_n_f32(MARTLET_EXP_Q2), q, r);
    q = vfmaq_f32(vdupq_n_f32(MARTLET_EXP_Q1), q, r);
    q = vfmaq_f32(vdupq_n_f32(MARTLET_EXP_Q0), q, r);
    const float32x4_t mantissa = vaddq_f32(vfmaq_f32(r, q, vmulq_f32(r, r)), vdupq_n_f32(1));
    const int32x4_t exponent = vsubq_s32(vreinterpretq_s32_f32(shifted), vreinterpretq_s32_f32(rounder));
    const int32x4_t half = vshrq_n_s32(exponent, 1);
    const float32x4_t first = martlet_power_of_two_4(half);
    const float32x4_t second = martlet_power_of_two_4(vsubq_s32(exponent, half));
    return vmulq_f32(vmulq_f32(mantissa, first), second);
}

static inline eight martlet_exponential_8(eight x) {
    return (eight){{martlet_exponential_4(x.val[0]), martlet_exponential_4(x.val[1])}};
}

/// y[column][row] = x[row][column] of 4 x 4.
static inline void transpose_4(const float *x, size_t x_stride, float *y, size_t y_stride) {
    const float32x4_t a = vld1q_f32(x), b = vld1q_f32(x + x_stride);
    const float32x4_t c = vld1q_f32(x + 2 * x_stride), d = vld1q_f32(x + 3 * x_stride);
    const float32x4_t ac = vzip1q_f32(a, c), bd = vzip1q_f32(b, d);
    const float32x4_t ac_high = vzip2q_f32(a, c), bd_high = vzip2q_f32(b, d);
    vst1q_f32(y, vzip1q_f32(ac, bd));
    vst1q_f32(y + y_stride, vzip2q_f32(ac, bd));
    vst1q_f32(y + 2 * y_stride, vzip1q_f32(ac_high, bd_high));
    vst1q_f32(y + 3 * y_stride, vzip2q_f32(ac_high, bd_high));
}

/// y[column][row] = x[row][column] of 8 x 8.
static inline void transpose_8(const float *x, size_t x_stride, float *y, size_t y_stride) {
    for (size_t row = 0; row < 8; row += 4) {
        for (size_t column = 0; column < 8; column += 4) {
            transpose_4(x + row * x_stride + column, x_stride, y + column * y_stride + row, y_stride);
        }
    }
}

#pragma clang attribute pop

#endif
