/// Products of 8-bit activations with quantised weights: wide/int8.h.
#include "../kernels.h"

#if defined(__aarch64__)
#include <float.h>
#include <math.h>
#include <string.h>

#include "products.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_neon
// Rows of activations in registers at once: 4 x 4 sums, 4 weights, 1 activation of 32 registers.
#define MARTLET_BLOCK 4
#include "../wide/int8.h"

/// A group of 32, the sum of its quants and of the first half of them; gives its scale.
static float quantize_group(const float *x, int8_t *quants, float *sum, float *half) {
    float32x4_t v[8], magnitudes = vdupq_n_f32(0);
    uint32x4_t finite = vdupq_n_u32(UINT32_MAX);
    for (size_t i = 0; i < 8; i++) {
        v[i] = vld1q_f32(x + 4 * i);
        const float32x4_t magnitude = vabsq_f32(v[i]);
        finite = vandq_u32(finite, vcleq_f32(magnitude, vdupq_n_f32(FLT_MAX)));
        magnitudes = vmaxq_f32(magnitudes, magnitude);
    }
    const bool is_finite = vminvq_u32(finite) != 0;
    const float magnitude = vmaxvq_f32(magnitudes);
    if (!is_finite || magnitude < 127 / FLT_MAX) {
        memset(quants, 0, 32);
        *sum = *half = 0;
        return is_finite ? magnitude / 127 : NAN;
    }
    const float32x4_t inverse = vdupq_n_f32(127 / magnitude);
    int16x8_t words[4];
    for (size_t i = 0; i < 4; i++) {
        const int32x4_t low = vcvtnq_s32_f32(vmulq_f32(v[2 * i], inverse));
        const int32x4_t high = vcvtnq_s32_f32(vmulq_f32(v[2 * i + 1], inverse));
        words[i] = vcombine_s16(vmovn_s32(low), vmovn_s32(high));
        vst1_s8(quants + 8 * i, vmovn_s16(words[i]));
    }
    const int32_t first = vaddlvq_s16(vaddq_s16(words[0], words[1]));
    *half = (float)first;
    *sum = (float)(first + vaddlvq_s16(vaddq_s16(words[2], words[3])));
    return magnitude / 127;
}

void martlet_quantize_rows_neon(const float *x, size_t stride, size_t rows, size_t columns, void *packed) {
    for (size_t row = 0; row < rows; row++, x += stride) {
        int8_t *quants = (int8_t *)packed + row * martlet_int8_row_bytes(columns);
        float *scales = (float *)martlet_int8_scales(quants, columns);
        float *sums = (float *)martlet_int8_sums(quants, columns);
        float *halves = (float *)martlet_int8_halves(quants, columns);
        for (size_t k = 0; k < columns; k += 32) {
            scales[k / 32] = quantize_group(x + k, quants + k, sums + k / 32, halves + k / 32);
        }
    }
}

#pragma clang attribute pop
#endif
