/// Products of bf16 activations with bf16 weights, one element at a time: the definition.
#include "../kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum { ROWS = MARTLET_PANEL_ROWS };

/// What the instruction of x86 makes of a number that is too small.
static float flushed(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }

static float value_of(uint16_t bf16) {
    const uint32_t bits = (uint32_t)bf16 << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return flushed(value);
}

void martlet_multiply_bf16_scalar(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *packed, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    const size_t columns = w->columns, end = last * ROWS < w->rows ? last * ROWS : w->rows;
    for (size_t row = 0; row < rows; row++) {
        const uint16_t *x = packed + row * martlet_bf16_row_stride(columns);
        for (size_t i = first * ROWS; i < end; i++) {
            const uint16_t *panel = (const uint16_t *)w->panels + i / ROWS * ROWS * columns + i % ROWS;
            float sum = 0;
            for (size_t k = 0; k < columns; k += 2) {
                sum = flushed(fmaf(value_of(panel[(k + 1) * ROWS]), value_of(x[k + 1]), sum));
                sum = flushed(fmaf(value_of(panel[k * ROWS]), value_of(x[k]), sum));
            }
            y[row * stride + i] = bias ? sum + bias[i] : sum;
        }
    }
}
