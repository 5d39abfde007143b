/// Products of 8-bit activations with quantised weights, one element at a time: the definition.
#include "blocks.h"

#include <float.h>
#include <math.h>

#pragma STDC FP_CONTRACT OFF

void martlet_quantize_rows_scalar(const float *x, size_t stride, size_t rows, size_t columns, void *packed) {
    for (size_t row = 0; row < rows; row++, x += stride) {
        int8_t *quants = (int8_t *)packed + row * martlet_int8_row_bytes(columns);
        float *scales = (float *)martlet_int8_scales(quants, columns);
        float *sums = (float *)martlet_int8_sums(quants, columns);
        float *halves = (float *)martlet_int8_halves(quants, columns);
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
            sums[k / 32] = halves[k / 32] = 0;
            for (size_t i = 0; i < 32; i++) {
                quants[k + i] = inverse > 0 ? (int8_t)lrintf(x[k + i] * inverse) : 0;
                sums[k / 32] += quants[k + i];
                if (i < 16) halves[k / 32] += quants[k + i];
            }
        }
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
        const float *sums = martlet_int8_sums(x, columns), *halves = martlet_int8_halves(x, columns);
        for (size_t i = first * ROWS; i < end; i++) {
            const uint8_t *panel = panels + i / ROWS * martlet_panel_bytes(w->dtype, columns);
            float sum = 0;
            for (size_t k = 0; k < columns; k += width) {
                const uint8_t *block = panel + k / elements * bytes;
                const group g = group_at(w->dtype, block, k % elements, i % ROWS);
                const float half = k % 32 == 0 ? halves[k / 32] : sums[k / 32] - halves[k / 32];
                const float all = width == 16 ? half : sums[k / 32];
                int32_t products = -martlet_quant_zero(w->dtype) * (int32_t)all;
                for (size_t l = 0; l < width; l++) {
                    products += quant_at(w->dtype, block, (k + l) % elements, i % ROWS) * x[k + l];
                }
                sum = fmaf(g.scale * scales[k / 32], (float)products, sum);
                if (martlet_has_minimum(w->dtype)) sum = fmaf(g.minimum * scales[k / 32], all, sum);
            }
            y[row * stride + i] = bias ? sum + bias[i] : sum;
        }
    }
}
