/// Rotary embedding, and keys and values on their way into the cache.
#include "../kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

void martlet_rotary_table_scalar(const martlet_rotary *rotary, float *table, size_t stride, size_t rows) {
    for (size_t row = 0; row < rows; row++, table += stride) {
        for (size_t j = 0; j < rotary->pairs; j++) {
            // The angle is rounded to f32, as the reference computes it; what follows is accurate.
            const float position = (float)rotary->positions[rotary->axis[j]][row];
            const float angle = position * rotary->inverse_frequency[j];
            table[j] = (float)cos((double)angle);
            table[rotary->pairs + j] = (float)sin((double)angle);
        }
    }
}

static void rotate_pair(float *first, float *second, float cosine, float sine) {
    const float a = *first;
    const float b = *second;
    *first = a * cosine - b * sine;
    *second = b * cosine + a * sine;
}

void martlet_rotate_scalar(
    float *x, size_t stride, size_t heads, size_t dimension, const float *table, size_t table_stride, size_t pairs,
    bool interleaved, size_t rows) {
    for (size_t row = 0; row < rows; row++, x += stride, table += table_stride) {
        for (size_t head = 0; head < heads; head++) {
            float *h = x + head * dimension;
            for (size_t j = 0; j < pairs; j++) {
                const size_t first = interleaved ? 2 * j : j;
                const size_t second = interleaved ? 2 * j + 1 : j + pairs;
                rotate_pair(h + first, h + second, table[j], table[pairs + j]);
            }
        }
    }
}

void martlet_store_scalar(martlet_dtype dtype, const float *x, void *y, size_t stride, size_t count) {
    const size_t size = dtype == MARTLET_F32 ? 4 : 2;
    // What overflows the type becomes infinite here and shows as NaN at the sampler.
    for (size_t i = 0; i < count; i++) martlet_narrow_scalar(dtype, x + i, (char *)y + i * stride * size, 1);
}

/// The greatest magnitude; an infinity or a NaN if there is one. Its bits order as it does. In eight lanes, which any
/// compiler turns into registers.
static float magnitude_of(const float *x, size_t count) {
    enum { LANES = 8 };
    uint32_t lanes[LANES] = {0}, greatest = 0;
    for (size_t i = 0; i < count; i += LANES) {
        uint32_t bits[LANES] = {0};
        memcpy(bits, x + i, (count - i < LANES ? count - i : LANES) * sizeof *x);
        for (size_t lane = 0; lane < LANES; lane++) {
            const uint32_t magnitude = bits[lane] & 0x7FFFFFFF;
            lanes[lane] = magnitude > lanes[lane] ? magnitude : lanes[lane];
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) greatest = lanes[lane] > greatest ? lanes[lane] : greatest;
    float magnitude;
    memcpy(&magnitude, &greatest, sizeof magnitude);
    return magnitude;
}

float martlet_store_int8_scalar(const float *x, int8_t *y, size_t stride, size_t count) {
    const float magnitude = magnitude_of(x, count);
    const bool is_finite = magnitude <= FLT_MAX;
    // Below this the reciprocal is no longer finite; such a head is nothing.
    const float inverse = is_finite && magnitude >= 127 / FLT_MAX ? 127 / magnitude : 0;
    for (size_t i = 0; i < count; i++) {
        // Added to a small number, this leaves it rounded to even.
        const float quant = is_finite ? (x[i] * inverse + 0x1.8p23f) - 0x1.8p23f : 0;
        y[i * stride] = (int8_t)quant;
    }
    return is_finite ? magnitude / 127 : NAN;
}
