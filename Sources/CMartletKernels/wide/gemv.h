/// Products of one or two rows of activations: weights go from memory to registers, two panels at once so that their
/// chains of additions hide one another's latency. Each chain is that of gemm.c.
#ifndef MARTLET_WIDE_GEMV_H
#define MARTLET_WIDE_GEMV_H

#include "panel.h"

#pragma clang assume_nonnull begin

enum {
    /// Panels at once.
    PANELS = 2,
    /// How many columns ahead weights are asked for.
    AHEAD = 256,
};

/// 32 columns of a panel, and where the bytes stand that will be wanted later, `step` for a column.
typedef struct stream {
    columns c;
    const char *ahead;
    size_t step;
} stream;

/// sums += column `i` of `panels` panels, w, times x[row]; sums: [panels][height].
MARTLET_INLINE void add_column(
    const size_t panels, const size_t height, const lanes *w, size_t step, const float *x, size_t stride,
    lanes *sums) {
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) {
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            lanes *sum = &sums[p * height + row];
            *sum = times_plus(broadcast(x + row * stride), w[p * step], *sum);
        }
    }
}

/// sums += 32 columns of quantised panels times x, rows `stride` apart.
MARTLET_INLINE void add_quantized(
    const martlet_dtype dtype, const size_t panels, const size_t height, const stream *streams, const float *x,
    size_t stride, lanes *sums) {
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 32; i += 4) {
        lanes w[PANELS * 4];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) {
            __builtin_prefetch(streams[p].ahead + i * streams[p].step);
            take_columns(dtype, &streams[p].c, i, w + 4 * p);
        }
#pragma clang loop unroll(full)
        for (size_t l = 0; l < 4; l++) add_column(panels, height, w + l, 4, x + i + l, stride, sums);
    }
}

/// sums += `count` columns of plain panels times x, rows `stride` apart.
MARTLET_INLINE void add_plain(
    const martlet_dtype dtype, const size_t panels, const size_t height, const stream *streams, size_t count,
    const float *x, size_t stride, lanes *sums) {
    for (size_t i = 0; i < count; i++) {
        lanes w[PANELS];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) {
            __builtin_prefetch(streams[p].ahead + i * streams[p].step);
            w[p] = plain_column(dtype, streams[p].c.quants, i);
        }
        add_column(panels, height, w, 1, x + i, stride, sums);
    }
}

/// `panels` panels, from `panel` on, times x. dtype, panels and height are constants.
MARTLET_INLINE void multiply_panels(
    const martlet_dtype dtype, const size_t panels, const size_t height, const martlet_matrix *w, size_t panel,
    const float *x, size_t x_stride, const float *_Nullable bias, float *y, size_t stride) {
    const size_t bytes = martlet_panel_bytes(dtype, w->columns);
    const size_t step = ROWS * martlet_block_bytes(dtype) / martlet_block_elements(dtype);
    const uint8_t *from = (const uint8_t *)w->panels + panel * bytes;
    lanes s[PANELS * 2] = {0};
    for (size_t k = 0; k < w->columns; k += 32) {
        stream streams[PANELS];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) {
            streams[p].c = open_columns(dtype, from + p * bytes, k);
            streams[p].ahead = (const char *)from + p * bytes + (k + AHEAD) * step;
            streams[p].step = step;
        }
        if (dtype <= MARTLET_BF16) {
            const size_t count = w->columns - k < 32 ? w->columns - k : 32;
            add_plain(dtype, panels, height, streams, count, x + k, x_stride, s);
        } else {
            add_quantized(dtype, panels, height, streams, x + k, x_stride, s);
        }
    }
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) finish(w, panel + p, height, s + p * height, bias, y, stride);
}

/// `multiply` of a constant type and height.
MARTLET_INLINE void multiply_rows(
    const martlet_dtype dtype, const size_t height, const martlet_matrix *w, size_t first, size_t last,
    const float *x, size_t x_stride, const float *_Nullable bias, float *y, size_t stride) {
    size_t panel = first;
    for (; panel + PANELS <= last; panel += PANELS) {
        multiply_panels(dtype, PANELS, height, w, panel, x, x_stride, bias, y, stride);
    }
    for (; panel < last; panel++) multiply_panels(dtype, 1, height, w, panel, x, x_stride, bias, y, stride);
}

MARTLET_INLINE void multiply_few(
    const martlet_dtype dtype, const martlet_matrix *w, size_t first, size_t last, const float *x, size_t x_stride,
    size_t rows, const float *_Nullable bias, float *y, size_t stride) {
    if (rows == 1) {
        multiply_rows(dtype, 1, w, first, last, x, x_stride, bias, y, stride);
    } else {
        multiply_rows(dtype, 2, w, first, last, x, x_stride, bias, y, stride);
    }
}

void MARTLET_SET(multiply_few)(
    const martlet_matrix *w, size_t first, size_t last, const float *x, size_t x_stride, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    switch (w->dtype) {
    case MARTLET_F32: multiply_few(MARTLET_F32, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_F16: multiply_few(MARTLET_F16, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_BF16: multiply_few(MARTLET_BF16, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q4_0: multiply_few(MARTLET_Q4_0, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q4_1: multiply_few(MARTLET_Q4_1, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q5_0: multiply_few(MARTLET_Q5_0, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q5_1: multiply_few(MARTLET_Q5_1, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q8_0: multiply_few(MARTLET_Q8_0, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q4_K: multiply_few(MARTLET_Q4_K, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q5_K: multiply_few(MARTLET_Q5_K, w, first, last, x, x_stride, rows, bias, y, stride); break;
    case MARTLET_Q6_K: multiply_few(MARTLET_Q6_K, w, first, last, x, x_stride, rows, bias, y, stride); break;
    }
}

#pragma clang assume_nonnull end

#endif
