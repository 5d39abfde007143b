// Bicubic with antialias, to the bit as torchvision resizes uint8 on a CPU with AVX2 (MODEL.md 3.3).
#include "CImage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One pass: for every output index the first input index, the number of taps, and their int16 weights.
struct taps {
    size_t window;      // weights kept for each output index
    int shift;          // a weight w stands for w / 2^shift
    uint32_t *first, *number;
    int16_t *weights;   // [outputs, window]
};

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

static void free_taps(struct taps *taps) {
    free(taps->first);
    free(taps->number);
    free(taps->weights);
}

// The weights in double precision, normalised, [outputs, window]; returns the largest of the whole pass.
static double weigh(size_t inputs, size_t outputs, struct taps *taps, double *weights) {
    double scale = (double)inputs / (double)outputs, largest = 0;
    double support = scale >= 1 ? 2 * scale : 2, inverse = scale >= 1 ? 1 / scale : 1;
    for (size_t i = 0; i < outputs; i++) {
        double center = scale * ((double)i + 0.5), total = 0;
        double low = center - support + 0.5, high = center + support + 0.5;
        size_t first = low > 0 ? (size_t)low : 0;
        size_t end = (size_t)high < inputs ? (size_t)high : inputs;
        size_t number = end - first < taps->window ? end - first : taps->window;
        double *row = weights + i * taps->window;
        for (size_t j = 0; j < number; j++) total += row[j] = bicubic(((double)(first + j) - center + 0.5) * inverse);
        for (size_t j = 0; j < number && total != 0; j++) {
            row[j] /= total;
            if (row[j] > largest) largest = row[j];
        }
        taps->first[i] = (uint32_t)first;
        taps->number[i] = (uint32_t)number;
    }
    return largest;
}

static bool make_taps(size_t inputs, size_t outputs, struct taps *taps) {
    double scale = (double)inputs / (double)outputs;
    taps->window = (size_t)ceil(scale >= 1 ? 2 * scale : 2) * 2 + 1;
    taps->first = calloc(outputs, sizeof *taps->first);
    taps->number = calloc(outputs, sizeof *taps->number);
    taps->weights = calloc(outputs * taps->window, sizeof *taps->weights);
    double *exact = calloc(outputs * taps->window, sizeof *exact);
    bool made = taps->first && taps->number && taps->weights && exact;
    if (made) {
        double largest = weigh(inputs, outputs, taps, exact);
        int shift = 0;
        while (shift < 22 && (int64_t)(0.5 + largest * (double)(1 << (shift + 1))) < 32768) shift++;
        taps->shift = shift;
        for (size_t i = 0; i < outputs * taps->window; i++)
            taps->weights[i] = (int16_t)(exact[i] * (double)(1 << shift) + (exact[i] < 0 ? -0.5 : 0.5));
    } else {
        free_taps(taps);
    }
    free(exact);
    return made;
}

static uint8_t clamp_byte(int32_t value) { return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value; }

// [height, width, 3] -> [height, outputs, 3]
static void resize_rows(
    const uint8_t *rgb, size_t width, size_t height, const struct taps *taps, size_t outputs, uint8_t *out
) {
    const int32_t half = 1 << (taps->shift - 1);
    for (size_t y = 0; y < height; y++) {
        const uint8_t *row = rgb + y * width * 3;
        for (size_t x = 0; x < outputs; x++, out += 3) {
            const uint8_t *from = row + (size_t)taps->first[x] * 3;
            const int16_t *weights = taps->weights + x * taps->window;
            int32_t red = half, green = half, blue = half;
            for (uint32_t k = 0; k < taps->number[x]; k++, from += 3) {
                red += from[0] * weights[k];
                green += from[1] * weights[k];
                blue += from[2] * weights[k];
            }
            out[0] = clamp_byte(red >> taps->shift);
            out[1] = clamp_byte(green >> taps->shift);
            out[2] = clamp_byte(blue >> taps->shift);
        }
    }
}

// [height, width, 3] -> [outputs, width, 3], a strip of columns at a time so that the sums stay in cache.
static void resize_columns(
    const uint8_t *rgb, size_t width, const struct taps *taps, size_t outputs, uint8_t *out
) {
    enum { STRIP = 1024 };
    int32_t sums[STRIP];
    const size_t row_bytes = width * 3;
    for (size_t y = 0; y < outputs; y++)
        for (size_t start = 0; start < row_bytes; start += STRIP) {
            size_t length = row_bytes - start < STRIP ? row_bytes - start : STRIP;
            for (size_t i = 0; i < length; i++) sums[i] = 1 << (taps->shift - 1);
            for (uint32_t k = 0; k < taps->number[y]; k++) {
                const uint8_t *from = rgb + (taps->first[y] + (size_t)k) * row_bytes + start;
                const int32_t weight = taps->weights[y * taps->window + k];
                for (size_t i = 0; i < length; i++) sums[i] += from[i] * weight;
            }
            uint8_t *to = out + y * row_bytes + start;
            for (size_t i = 0; i < length; i++) to[i] = clamp_byte(sums[i] >> taps->shift);
        }
}

int martlet_image_resize(
    const uint8_t *rgb, size_t width, size_t height, uint8_t *out, size_t out_width, size_t out_height
) {
    bool across = width != out_width, down = height != out_height;
    struct taps horizontal = {0}, vertical = {0};
    uint8_t *between = NULL;
    int status = MARTLET_IMAGE_OUT_OF_MEMORY;
    if (!across && !down) {
        memcpy(out, rgb, width * height * 3);
        return MARTLET_IMAGE_OK;
    }
    if (across && !make_taps(width, out_width, &horizontal)) return status;
    if (down && !make_taps(height, out_height, &vertical)) {
        free_taps(&horizontal);
        return status;
    }
    if (across && down) between = malloc(out_width * height * 3);
    if (between || !across || !down) {
        if (across) resize_rows(rgb, width, height, &horizontal, out_width, down ? between : out);
        if (down) resize_columns(across ? between : rgb, out_width, &vertical, out_height, out);
        status = MARTLET_IMAGE_OK;
    }
    free(between);
    free_taps(&horizontal);
    free_taps(&vertical);
    return status;
}
