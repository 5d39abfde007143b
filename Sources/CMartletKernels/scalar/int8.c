/// Products of 8-bit activations with quantised weights, one element at a time: the definition.
#include "blocks.h"

#include <float.h>
#include <math.h>

#pragma STDC FP_CONTRACT OFF

void martlet_quantize_rows_scalar(const float *x, size_t stride, size_t rows, size_t columns, void *packed) {
    for (size_t row = 0; row < rows; row++, x += stride) {
        int8_t *quants = (int8_t *)packed + row * martlet_int8_row_bytes(columns);
        float *scales = (float *)martlet_int8_scales(quants, columns);
        int32_t *sums = (int32_t *)martlet_int8_sums(quants, columns);
        for (size_t k = 0; k < columns; k += 32) {
            float magnitude = 0;
            for (size_t i = 0; i < 32; i++) {
                const float a = fabsf(x[k + i]);
                magnitude = a > magnitude || isnan(a) ? a : magnitude;
                if (isnan(magnitude)) break;
            }
            const bool is_finite = magnitude <= FLT_MAX;
            // Below this the reciprocal is no longer finite; such a group is nothing.
            const float inverse = is_finite && magnitude >= 127 / FLT_MAX ? 127 / magnitude : 0;
            scales[k / 32] = is_finite ? magnitude / 127 : NAN;
            sums[k / 16] = sums[k / 16 + 1] = 0;
            for (size_t i = 0; i < 32; i++) {
                quants[k + i] = inverse > 0 ? (int8_t)lrintf(x[k + i] * inverse) : 0;
                sums[(k + i) / 16] += quants[k + i];
            }
        }
    }
}

/// What the columns of a group share: their value is scale * (quant - zero) + minimum.
typedef struct group {
    float scale, minimum;
} group;

static group group_at(martlet_dtype dtype, const uint8_t *block, size_t i, size_t row) {
    const float d = half_at(block + (dtype == MARTLET_Q6_K ? 208 * ROWS : 0), 0, row);
    int scale = 1, minimum = 0;
    switch (dtype) {
    case MARTLET_Q4_1:
    case MARTLET_Q5_1: return (group){d, half_at(block, 1, row)};
    case MARTLET_Q4_K:
    case MARTLET_Q5_K:
        scale_and_minimum(block + 4 * ROWS, i / 32, row, &scale, &minimum);
        return (group){d * (float)scale, -(half_at(block, 1, row) * (float)minimum)};
    case MARTLET_Q6_K: {
        const size_t at = 8 * (i / 128) + 2 * (i % 128 / 32) + i % 32 / 16;
        return (group){d * (float)(int8_t)byte_at(block + 192 * ROWS, at, row), 0};
    }
    default: return (group){d, 0};
    }
}

/// The quant without a sign of element `i` of a block.
static int quant_at(martlet_dtype dtype, const uint8_t *block, size_t i, size_t row) {
    const uint8_t *one = block + 2 * ROWS, *two = block + 4 * ROWS;
    const size_t j = i / 32, l = i % 32;
    switch (dtype) {
    case MARTLET_Q4_0: return nibble_at(one, NULL, i, row);
    case MARTLET_Q4_1: return nibble_at(two, NULL, i, row);
    case MARTLET_Q5_0: return nibble_at(one + 4 * ROWS, one, i, row);
    case MARTLET_Q5_1: return nibble_at(two + 4 * ROWS, two, i, row);
    case MARTLET_Q8_0: return (int8_t)byte_at(one, i, row) + 128;
    case MARTLET_Q4_K:
    case MARTLET_Q5_K: {
        const bool fifths = dtype == MARTLET_Q5_K;
        const int byte = byte_at(two + (fifths ? 44 : 12) * ROWS, 32 * (j / 2) + l, row);
        const int fifth = fifths ? byte_at(two + 12 * ROWS, l, row) >> j & 1 : 0;
        return (j % 2 ? byte >> 4 : byte & 15) | fifth << 4;
    }
    default: return quant_q6_k(block, i, row);
    }
}

void martlet_multiply_int8_scalar(
    const martlet_matrix *w, size_t first, size_t last, const void *packed, size_t rows, const float *_Nullable bias,
    float *y, size_t stride) {
    const size_t elements = martlet_block_elements(w->dtype), bytes = ROWS * martlet_block_bytes(w->dtype);
    const size_t columns = w->columns, width = martlet_group_columns(w->dtype);
    const uint8_t *panels = w->panels;
    const size_t end = last * ROWS < w->rows ? last * ROWS : w->rows;
    for (size_t row = 0; row < rows; row++) {
        const int8_t *x = martlet_int8_quants(packed, row, columns);
        const float *scales = martlet_int8_scales(x, columns);
        const int32_t *sums = martlet_int8_sums(x, columns);
        for (size_t i = first * ROWS; i < end; i++) {
            const uint8_t *panel = panels + i / ROWS * martlet_panel_bytes(w->dtype, columns);
            float sum = 0;
            for (size_t k = 0; k < columns; k += width) {
                const uint8_t *block = panel + k / elements * bytes;
                const group g = group_at(w->dtype, block, k % elements, i % ROWS);
                const int32_t all = width == 16 ? sums[k / 16] : sums[k / 16] + sums[k / 16 + 1];
                int32_t products = -martlet_quant_zero(w->dtype) * all;
                for (size_t l = 0; l < width; l++) {
                    products += quant_at(w->dtype, block, (k + l) % elements, i % ROWS) * x[k + l];
                }
                sum = fmaf(g.scale * scales[k / 32], (float)products, sum);
                if (martlet_has_minimum(w->dtype)) sum = fmaf(g.minimum * scales[k / 32], (float)all, sum);
            }
            y[row * stride + i] = bias ? sum + bias[i] : sum;
        }
    }
}
