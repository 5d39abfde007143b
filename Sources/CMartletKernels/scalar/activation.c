/// Activation functions.
#include "../kernels.h"
#include "exponential.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

void martlet_silu_multiply_scalar(
    const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        for (size_t i = 0; i < width; i++) {
            y[i] = x[i] / (1.0f + martlet_exponential(-x[i])) * x[width + i];
        }
    }
}

void martlet_gelu_scalar(float *x, size_t stride, size_t rows, size_t width) {
    for (size_t row = 0; row < rows; row++, x += stride) {
        for (size_t i = 0; i < width; i++) {
            // The complement keeps relative accuracy where 1 + erf would cancel.
            x[i] = (float)(0.5 * x[i] * erfc(-0.70710678118654752440 * x[i]));
        }
    }
}
