#include "twins.h"

#include <math.h>

enum { ROWS = 3, WIDEST = 130, ROOM = 3 };

/// Runs `call` on the truth and on the twin: `table` and `y` are its names for either.
#define BOTH(made, call)                                                                                               \
    do {                                                                                                               \
        const martlet_kernel_table *table = truth;                                                                     \
        float *y = (float *)(made).truth;                                                                              \
        if (!counting) call;                                                                                           \
        table = twin;                                                                                                  \
        y = (float *)(made).twin;                                                                                      \
        if (!counting) call;                                                                                           \
    } while (0)

/// An output that holds x already.
static output output_of(const float *x, size_t count) {
    output made = make_output(count * sizeof *x);
    memcpy(made.truth, x, count * sizeof *x);
    memcpy(made.twin, x, count * sizeof *x);
    return made;
}

static void norm_cases(const float *x, const float *weight, const float *bias, size_t width) {
    const size_t stride = 2 * WIDEST + ROOM;
    output made = make_output(ROWS * stride * 4);
    BOTH(made, table->rms_norm(x, stride, weight, 1e-5f, y, stride, ROWS, width));
    compare(made, "rms_norm %zu", width);
    made = output_of(x, ROWS * stride);
    BOTH(made, table->add_rms_norm(x, stride, weight, 1e-5f, y, stride, ROWS, width));
    compare(made, "add_rms_norm %zu", width);
    made = make_output(ROWS * stride * 4);
    BOTH(made, table->layer_norm(x, stride, weight, bias, 1e-5f, y, stride, ROWS, width));
    compare(made, "layer_norm %zu", width);
    made = make_output(ROWS * stride * 4);
    BOTH(made, table->silu_multiply(x, stride, y, stride, ROWS, width));
    compare(made, "silu_multiply %zu", width);
    made = output_of(x, ROWS * stride);
    BOTH(made, table->add(weight, y, width));
    compare(made, "add %zu", width);
}

static void rotate_case(const float *x, const float *angles, size_t pairs, bool interleaved) {
    const size_t stride = 2 * WIDEST + ROOM, dimension = 2 * pairs + 1;
    output made = output_of(x, ROWS * stride);
    BOTH(made, table->rotate(y, stride, 2, dimension, angles, 1, pairs, interleaved, ROWS));
    compare(made, "rotate %zu pairs, %s", pairs, interleaved ? "interleaved" : "halves");
}

static void vision_case(const float *values, size_t width) {
    enum { SIDE = 3, PATCHES = 8 };
    float *learned = memory(SIDE * SIDE * width * 4);
    fill(learned, SIDE * SIDE * width);
    const martlet_position_grid grid = {learned, SIDE, width, 4, 6, 2};
    output made = output_of(values, PATCHES * (width + ROOM));
    BOTH(made, table->add_positions(&grid, 5, PATCHES, y, width + ROOM));
    compare(made, "add_positions %zu", width);
    free(learned);
}

void elementwise_cases(void) {
    static const size_t widths[] = {1, 2, 7, 8, 9, 31, 32, 33, 64, 100, WIDEST};
    const size_t count = ROWS * (2 * WIDEST + ROOM);
    float *x = memory(2 * count * sizeof *x), *weight = memory(WIDEST * 4), *bias = memory(WIDEST * 4);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        fill(x, 2 * count);
        fill(weight, WIDEST);
        fill(bias, WIDEST);
        // Beyond where an exponential is 0 or infinite.
        for (size_t j = 0; j < 2 * count; j++) x[j] *= j % 5 == 0 ? 120 : 3;
        norm_cases(x, weight, bias, widths[i]);
        if (widths[i] <= 64) {
            rotate_case(x, weight, widths[i], false);
            rotate_case(x, weight, widths[i], true);
        }
        vision_case(x, widths[i] <= 64 ? widths[i] : 64);
    }
    free(x), free(weight), free(bias);
}
