/// Plain types to f32 and back, by their bits.
#include "../kernels.h"

#include <string.h>

static float f32_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float f32_of_f16(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = (half >> 10) & 31, fraction = half & 1023;
    if (exponent == 0) {
        // Zero and subnormals: fraction * 2^-24 is exact.
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    if (exponent == 31) {
        // A signalling NaN becomes quiet, as the hardware does it.
        return f32_of_bits(sign | 0x7F800000 | (fraction << 13) | (fraction ? 0x400000 : 0));
    }
    return f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint16_t f16_of_f32(float value) {
    const uint32_t bits = bits_of_f32(value), magnitude = bits & 0x7FFFFFFF;
    const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
    if (magnitude > 0x7F800000) return sign | 0x7E00 | (uint16_t)((magnitude >> 13) & 0x3FF);
    if (magnitude >= 0x47800000) return sign | 0x7C00;  // 2^16 and above
    if (magnitude < 0x38800000) {
        // Below the least normal half: adding 0.5 leaves the rounded count of 2^-24 in the low bits.
        const float shifted = f32_of_bits(magnitude) + 0.5f;
        return sign | (uint16_t)(bits_of_f32(shifted) - 0x3F000000);
    }
    // Rounding may carry into the exponent, up to infinity, as it should.
    const uint32_t rebased = magnitude - (112u << 23);
    return sign | (uint16_t)((rebased + 0xFFF + ((rebased >> 13) & 1)) >> 13);
}

static uint16_t bf16_of_f32(float value) {
    const uint32_t bits = bits_of_f32(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16) | 0x40;
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

void martlet_widen_scalar(martlet_dtype dtype, const void *x, float *y, size_t count) {
    if (dtype == MARTLET_F32) {
        memcpy(y, x, count * sizeof *y);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, (const char *)x + 2 * i, sizeof half);
        y[i] = dtype == MARTLET_BF16 ? f32_of_bits((uint32_t)half << 16) : f32_of_f16(half);
    }
}

bool martlet_narrow_scalar(martlet_dtype dtype, const float *x, void *y, size_t count) {
    if (dtype == MARTLET_F32) {
        memcpy(y, x, count * sizeof *x);
        return true;
    }
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        const bool finite = (bits_of_f32(x[i]) & 0x7F800000) != 0x7F800000;
        const uint16_t infinity = dtype == MARTLET_BF16 ? 0x7F80 : 0x7C00;
        const uint16_t half = dtype == MARTLET_BF16 ? bf16_of_f32(x[i]) : f16_of_f32(x[i]);
        fits = fits && !(finite && (half & 0x7FFF) == infinity);
        memcpy((char *)y + 2 * i, &half, sizeof half);
    }
    return fits;
}
