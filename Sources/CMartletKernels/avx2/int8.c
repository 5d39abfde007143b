/// Products of 8-bit activations with quantised weights: wide/int8.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include <float.h>
#include <math.h>
#include <string.h>

#include "products.h"
#include "reduction.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_avx2
// Rows of activations in registers at once: 4 x 2 sums of 16 registers; totals wait in the first cache.
#define MARTLET_BLOCK 4
#include "../wide/int8.h"

/// Sixteen quants' sum.
static int32_t sum_of_16(__m128i quants) {
    // Bytes with the sign bit turned are 128 more each; sums of absolute values add eight of them.
    const __m128i sums = _mm_sad_epu8(_mm_xor_si128(quants, _mm_set1_epi8(-128)), _mm_setzero_si128());
    return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
}

/// A group of 32, the sum of its quants and of the first half of them; gives its scale.
static float quantize_group(const float *x, int8_t *quants, float *sum, float *half) {
    const __m256 sign = _mm256_set1_ps(-0.0f), largest = _mm256_set1_ps(FLT_MAX);
    __m256 v[4], magnitudes = _mm256_setzero_ps(), finite = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        const __m256 magnitude = _mm256_andnot_ps(sign, v[i]);
        finite = _mm256_and_ps(finite, _mm256_cmp_ps(magnitude, largest, _CMP_LE_OQ));
        magnitudes = _mm256_max_ps(magnitudes, magnitude);
    }
    const float magnitude = martlet_maximum_of_8(magnitudes);
    const bool is_finite = _mm256_movemask_ps(finite) == 0xFF;
    if (!is_finite || magnitude < 127 / FLT_MAX) {
        memset(quants, 0, 32);
        *sum = *half = 0;
        return is_finite ? magnitude / 127 : NAN;
    }
    const __m256 inverse = _mm256_set1_ps(127 / magnitude);
    __m256i words[4];
    for (size_t i = 0; i < 4; i++) words[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    const __m256i low = _mm256_permute4x64_epi64(_mm256_packs_epi32(words[0], words[1]), 0xD8);
    const __m256i high = _mm256_permute4x64_epi64(_mm256_packs_epi32(words[2], words[3]), 0xD8);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
    _mm256_storeu_si256((__m256i *)quants, bytes);
    const int32_t first = sum_of_16(_mm256_castsi256_si128(bytes));
    *half = (float)first;
    *sum = (float)(first + sum_of_16(_mm256_extracti128_si256(bytes, 1)));
    return magnitude / 127;
}

void martlet_quantize_rows_avx2(const float *x, size_t stride, size_t rows, size_t columns, void *packed) {
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
