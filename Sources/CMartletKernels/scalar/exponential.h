// The exponential of the whole program: softmax, SiLU and sampler, on every ISA, take these bits (D12).
#ifndef MARTLET_SCALAR_EXPONENTIAL_H
#define MARTLET_SCALAR_EXPONENTIAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

// e^x = 2^n (1 + r + r^2 q(r)), n = round(x / ln 2), r = x - n ln 2 in [-0.347, 0.347]; q is a minimax fit of
// degree 4 (relative error 3e-9 before rounding).
#define MARTLET_EXP_LOWEST (-104.0f)
#define MARTLET_EXP_HIGHEST 89.0f
#define MARTLET_EXP_LOG2E 0x1.715476p+0f
#define MARTLET_EXP_LN2_HIGH 0x1.62e43p-1f
#define MARTLET_EXP_LN2_LOW (-0x1.05c61p-29f)
// Added to a small number, its last bit is worth 1: the sum rounds to an integer, ties to even.
#define MARTLET_EXP_ROUNDER 0x1.8p+23f
#define MARTLET_EXP_Q0 0x1.fffffcp-2f
#define MARTLET_EXP_Q1 0x1.55548ap-3f
#define MARTLET_EXP_Q2 0x1.555916p-5f
#define MARTLET_EXP_Q3 0x1.123fb4p-7f
#define MARTLET_EXP_Q4 0x1.6a1a8ep-10f

static inline uint32_t martlet_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float martlet_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/// e^x within 1 ulp, subnormals included; 1 at 0, 0 below -104, +inf above 88.73, NaN at NaN.
static inline float martlet_exponential(float x) {
    float clamped = x < MARTLET_EXP_LOWEST ? MARTLET_EXP_LOWEST : x;
    clamped = clamped > MARTLET_EXP_HIGHEST ? MARTLET_EXP_HIGHEST : clamped;
    const float shifted = fmaf(clamped, MARTLET_EXP_LOG2E, MARTLET_EXP_ROUNDER);
    const float n = shifted - MARTLET_EXP_ROUNDER;
    float r = fmaf(n, -MARTLET_EXP_LN2_HIGH, clamped);
    r = fmaf(n, -MARTLET_EXP_LN2_LOW, r);
    float q = fmaf(MARTLET_EXP_Q4, r, MARTLET_EXP_Q3);
    q = fmaf(q, r, MARTLET_EXP_Q2);
    q = fmaf(q, r, MARTLET_EXP_Q1);
    q = fmaf(q, r, MARTLET_EXP_Q0);
    const float mantissa = fmaf(q, r * r, r) + 1.0f;
    // 2^n in two factors, so that neither overflows and the product may be subnormal.
    const int32_t exponent = (int32_t)(martlet_bits(shifted) - martlet_bits(MARTLET_EXP_ROUNDER));
    const int32_t half = exponent >> 1;
    const float first = martlet_float((uint32_t)(half + 127) << 23);
    const float second = martlet_float((uint32_t)(exponent - half + 127) << 23);
    return mantissa * first * second;
}

#endif
