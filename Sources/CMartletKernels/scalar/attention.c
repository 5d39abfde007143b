/// Streaming softmax in fixed tiles, one query at a time. The order of every sum stands at `martlet_attention_fn`.
#include "../kernels.h"
#include "exponential.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

static size_t size_of(martlet_dtype dtype) { return dtype == MARTLET_F32 ? 4 : dtype == MARTLET_Q8_0 ? 1 : 2; }

static float load(const martlet_attention *a, const void *x, size_t index) {
    if (a->dtype == MARTLET_Q8_0) return ((const int8_t *)x)[index];
    float value;
    martlet_widen_scalar(a->dtype, (const char *)x + index * size_of(a->dtype), &value, 1);
    return value;
}

/// The first element of a position's key or value.
static const void *slot(const martlet_attention *a, const void *base, size_t position, size_t stride) {
    const size_t block = (size_t)a->blocks[position / a->block_size];
    const size_t offset = position % a->block_size * stride;
    return (const char *)base + block * a->block_bytes + offset * size_of(a->dtype);
}

/// The scale of a position's key or value, the first of which is at `base`.
static float scale_of(const martlet_attention *a, const float *base, size_t position) {
    const size_t block = (size_t)a->blocks[position / a->block_size];
    const char *scales = (const char *)base + block * a->block_bytes;
    float scale;
    memcpy(&scale, scales + position % a->block_size * sizeof scale, sizeof scale);
    return scale;
}

static float score(const martlet_attention *a, const float *query, size_t position) {
    const void *key = slot(a, a->keys, position, a->key_stride);
    float total = 0;
    for (size_t d = 0; d < a->dimension; d++) {
        total = fmaf(query[d] * a->scale, load(a, key, d * a->key_dimension_stride), total);
    }
    return a->dtype == MARTLET_Q8_0 ? total * scale_of(a, a->key_scales, position) : total;
}

static float sum_of_weights(const float *weights, size_t count) {
    float lanes[8] = {0};
    for (size_t j = 0; j < count; j++) lanes[j % 8] += weights[j];
    for (size_t half = 4; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

/// One query over positions 0..<count; y: [dimension].
static void attend(const martlet_attention *a, const float *query, size_t count, float *y) {
    float highest = -INFINITY;
    float denominator = 0;
    for (size_t d = 0; d < a->dimension; d++) y[d] = 0;
    for (size_t first = 0; first < count; first += MARTLET_ATTENTION_TILE) {
        const size_t tile = count - first < MARTLET_ATTENTION_TILE ? count - first : MARTLET_ATTENTION_TILE;
        float weights[MARTLET_ATTENTION_TILE];
        float maximum = highest;
        for (size_t j = 0; j < tile; j++) {
            weights[j] = score(a, query, first + j);
            maximum = weights[j] > maximum ? weights[j] : maximum;
        }
        const float rescale = martlet_exponential(highest - maximum);
        highest = maximum;
        for (size_t j = 0; j < tile; j++) weights[j] = martlet_exponential(weights[j] - maximum);
        denominator = denominator * rescale + sum_of_weights(weights, tile);
        for (size_t d = 0; d < a->dimension; d++) y[d] *= rescale;
        for (size_t j = 0; j < tile; j++) {
            const void *value = slot(a, a->values, first + j, a->value_stride);
            float weight = weights[j];
            if (a->dtype == MARTLET_Q8_0) weight *= scale_of(a, a->value_scales, first + j);
            for (size_t d = 0; d < a->dimension; d++) y[d] = fmaf(weight, load(a, value, d), y[d]);
        }
    }
    for (size_t d = 0; d < a->dimension; d++) y[d] /= denominator;
}

void martlet_attention_scalar(const martlet_attention *a, float *scratch) {
    (void)scratch;
    for (size_t row = 0; row < a->rows; row++) {
        const size_t count = a->positions + (a->causal ? row : 0);
        for (size_t head = 0; head < a->heads; head++) {
            const size_t offset = head * a->dimension;
            attend(a, a->queries + row * a->query_stride + offset, count, a->output + row * a->output_stride + offset);
        }
    }
}
