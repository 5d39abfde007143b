/// Rotary embedding, and keys and values on their way into the cache.
#include "../kernels.h"

#include <math.h>

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
