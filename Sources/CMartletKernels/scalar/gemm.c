/// Products, written to be read: one panel, one row of activations, one chain of fused multiply-adds at a time.
#include "../kernels.h"

#include <math.h>

enum { ROWS = MARTLET_PANEL_ROWS, COLUMNS = 256 };

static void multiply_panel(
    const martlet_matrix *w, size_t panel, const float *x, const float *_Nullable bias, float *y) {
    const char *blocks = (const char *)w->panels + panel * martlet_panel_bytes(w->dtype, w->columns);
    _Alignas(64) float tile[COLUMNS * ROWS];
    float sums[ROWS] = {0};
    for (size_t first = 0; first < w->columns; first += COLUMNS) {
        const size_t count = w->columns - first < COLUMNS ? w->columns - first : COLUMNS;
        martlet_unpack_panel_scalar(w->dtype, blocks, first, count, tile);
        for (size_t k = 0; k < count; k++) {
            for (size_t row = 0; row < ROWS; row++) {
                sums[row] = fmaf(x[first + k], tile[k * ROWS + row], sums[row]);
            }
        }
    }
    for (size_t row = 0; row < ROWS && panel * ROWS + row < w->rows; row++) {
        const size_t column = panel * ROWS + row;
        y[column] = bias ? sums[row] + bias[column] : sums[row];
    }
}

void martlet_multiply_scalar(
    const martlet_matrix *w, size_t first, size_t last, const float *x, size_t x_stride, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    for (size_t panel = first; panel < last; panel++) {
        for (size_t row = 0; row < rows; row++) {
            multiply_panel(w, panel, x + row * x_stride, bias, y + row * stride);
        }
    }
}

void martlet_add_scalar(const float *y, float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] += y[i];
}
