/// Norms over rows. Sums run in 32 lanes (element i in lane i % 32), then by halves: the order of four 256-bit
/// registers, so that every ISA gives the same bits.
#include "../kernels.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

// Sums run in 32 lanes (dtype i in lane i % 32), then by halves: the order of four 256-bit registers, so that
// every ISA gives the same bits.
enum { lane_count = 32 };

static float sum_of_lanes(float lanes[lane_count]) {
    for (size_t half = lane_count / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

static float sum(const float *x, size_t width) {
    float lanes[lane_count] = {0};
    for (size_t i = 0; i < width; i++) lanes[i % lane_count] += x[i];
    return sum_of_lanes(lanes);
}

/// The sum of (x - mean)^2.
static float sum_of_squares(const float *x, size_t width, float mean) {
    float lanes[lane_count] = {0};
    for (size_t i = 0; i < width; i++) {
        const float centred = x[i] - mean;
        lanes[i % lane_count] = fmaf(centred, centred, lanes[i % lane_count]);
    }
    return sum_of_lanes(lanes);
}

static float inverse_deviation(const float *x, size_t width, float mean, float epsilon) {
    return 1.0f / sqrtf(sum_of_squares(x, width, mean) / (float)width + epsilon);
}

void martlet_rms_norm_scalar(
    const float *x, size_t x_stride, const float *weight, float epsilon, float *y, size_t y_stride, size_t rows,
    size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const float inverse = inverse_deviation(x, width, 0.0f, epsilon);
        for (size_t i = 0; i < width; i++) y[i] = x[i] * inverse * weight[i];
    }
}

void martlet_add_rms_norm_scalar(
    const float *y, size_t y_stride, const float *weight, float epsilon, float *x, size_t x_stride, size_t rows,
    size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const float inverse = inverse_deviation(y, width, 0.0f, epsilon);
        for (size_t i = 0; i < width; i++) x[i] = x[i] + y[i] * inverse * weight[i];
    }
}

void martlet_layer_norm_scalar(
    const float *x, size_t x_stride, const float *weight, const float *bias, float epsilon, float *y, size_t y_stride,
    size_t rows, size_t width) {
    for (size_t row = 0; row < rows; row++, x += x_stride, y += y_stride) {
        const float mean = sum(x, width) / (float)width;
        const float inverse = inverse_deviation(x, width, mean, epsilon);
        for (size_t i = 0; i < width; i++) y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
    }
}
