/// Products and attention of bf16, one element at a time: the definition.
#include "../kernels.h"
#include "exponential.h"

#include <float.h>
#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum { ROWS = MARTLET_PANEL_ROWS, TILE = MARTLET_SHORT_TILE };

/// What the instruction of x86 makes of a number that is too small.
static float flushed(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }

static float value_of(uint16_t bf16) {
    const uint32_t bits = (uint32_t)bf16 << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return flushed(value);
}

/// sum + row `row` of w . x; w: panels of `columns` columns.
static float add_products(const uint16_t *w, size_t columns, size_t row, const uint16_t *x, float sum) {
    const uint16_t *panel = w + row / ROWS * ROWS * columns + row % ROWS;
    for (size_t k = 0; k < columns; k += 2) {
        sum = flushed(fmaf(value_of(panel[(k + 1) * ROWS]), value_of(x[k + 1]), sum));
        sum = flushed(fmaf(value_of(panel[k * ROWS]), value_of(x[k]), sum));
    }
    return sum;
}

void martlet_multiply_bf16_scalar(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *x, size_t rows, const float *_Nullable bias,
    float *y, size_t stride) {
    const size_t columns = w->columns, end = last * ROWS < w->rows ? last * ROWS : w->rows;
    for (size_t row = 0; row < rows; row++, x += martlet_bf16_row_stride(columns)) {
        for (size_t i = first * ROWS; i < end; i++) {
            const float sum = add_products(w->panels, columns, i, x, 0);
            y[row * stride + i] = bias ? sum + bias[i] : sum;
        }
    }
}

// MARK: Attention

void martlet_pack_tile_scalar(
    const float *keys, const float *values, size_t stride, size_t count, size_t dimension, uint16_t *tile) {
    martlet_pack_tile_by(martlet_narrow_scalar, keys, values, stride, count, dimension, tile);
}

static uint16_t rounded(float x) {
    uint16_t result;
    (void)martlet_narrow_scalar(MARTLET_BF16, &x, &result, 1);
    return result;
}

/// Weights of a tile's scores; returns their sum.
static float weigh(const float *scores, size_t count, float maximum, uint16_t *weights) {
    float lanes[ROWS] = {0};
    for (size_t j = 0; j < TILE; j++) {
        weights[j] = j < count ? rounded(martlet_exponential(scores[j] - maximum)) : 0;
        lanes[j % ROWS] += value_of(weights[j]);
    }
    for (size_t half = ROWS / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

/// One query, scaled and rounded; y: [dimension].
static void attend(const martlet_short_attention *a, const uint16_t *query, float *y) {
    float highest = -INFINITY, denominator = 0;
    for (size_t d = 0; d < a->dimension; d++) y[d] = 0;
    for (size_t first = 0; first < a->positions; first += TILE) {
        const uint16_t *keys = a->tiles + first / TILE * martlet_short_tile(a->dimension);
        const uint16_t *values = keys + TILE * a->dimension;
        const size_t count = a->positions - first < TILE ? a->positions - first : TILE;
        float scores[TILE], maximum = highest;
        uint16_t weights[TILE];
        for (size_t j = 0; j < count; j++) {
            scores[j] = add_products(keys, a->dimension, j, query, 0);
            maximum = scores[j] > maximum ? scores[j] : maximum;
        }
        const float rescale = martlet_exponential(highest - maximum);
        highest = maximum;
        denominator = denominator * rescale + weigh(scores, count, maximum, weights);
        for (size_t d = 0; d < a->dimension; d++) {
            y[d] = add_products(values, TILE, d, weights, flushed(y[d] * rescale));
        }
    }
    for (size_t d = 0; d < a->dimension; d++) y[d] = flushed(y[d] / denominator);
}

void martlet_short_attention_scalar(const martlet_short_attention *a, uint16_t *scratch) {
    for (size_t row = 0; row < a->rows; row++) {
        const float *query = a->queries + row * a->query_stride;
        for (size_t d = 0; d < a->dimension; d++) scratch[d] = rounded(flushed(query[d] * a->scale));
        attend(a, scratch, a->output + row * a->output_stride);
    }
}
