/// Products of some rows of activations with panels of sixteen rows of weights. Weights are made f32 a tile at a time
/// in the first cache and used for all rows of a chunk; each sum is the one chain of scalar/gemm.c, kept in memory
/// between tiles. The set that includes this has MARTLET_BLOCK (6 or 12) rows of activations in registers at once.
#ifndef MARTLET_WIDE_GEMM_H
#define MARTLET_WIDE_GEMM_H

#include <string.h>

#include "panel.h"

#pragma clang assume_nonnull begin

enum {
    BLOCK = MARTLET_BLOCK,
    PANELS = MARTLET_PANELS,
    /// Columns of a tile: 16 KiB of f32.
    COLUMNS = 256,
    /// Panels that share a pass over the activations.
    GROUP = 4,
    /// Rows of activations that share a tile; their columns of a tile (192 KiB) stay in the second cache.
    CHUNK = 192,
};

static const void *panel_at(const martlet_matrix *w, size_t panel) {
    return (const char *)w->panels + panel * martlet_panel_bytes(w->dtype, w->columns);
}

/// Stored bytes to ask for while other work goes on: `bytes` behind `start`, some at each column.
typedef struct prefetch {
    const char *start;
    size_t bytes;
} prefetch;

/// The stored bytes of columns [first, first + count) of a panel; past its end they are the next one's, which is what
/// is wanted, or nothing.
static inline prefetch prefetch_of(const martlet_matrix *w, size_t panel, size_t first, size_t count) {
    const size_t elements = martlet_block_elements(w->dtype), bytes = ROWS * martlet_block_bytes(w->dtype);
    return (prefetch){(const char *)panel_at(w, panel) + first * bytes / elements, count * bytes / elements};
}

/// sums[p][row] += x[row] . tiles[p] for `count` columns of `panels` panels; x: rows `stride` apart; sums: [CHUNK][16]
/// each. Meanwhile `ahead` is fetched. panels and height are constants where this is called.
MARTLET_INLINE void multiply_tile(
    const size_t panels, const size_t height, const float *tiles, size_t count, const float *x, size_t stride,
    float *sums, prefetch ahead) {
    const size_t step = ahead.bytes / count;
    lanes s[PANELS][BLOCK];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < panels * height; i++) {
        s[i / height][i % height] = load_f32(sums + (i / height * CHUNK + i % height) * ROWS);
    }
    // Every third row has a register; the others are one or two strides from it.
    const float *thirds[BLOCK / 3];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] = x + 3 * i * stride;
    for (size_t k = 0; k < count; k++) {
        __builtin_prefetch(ahead.start + k * step);
        lanes w[PANELS];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) w[p] = load_f32(tiles + (p * COLUMNS + k) * ROWS);
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            const lanes value = broadcast(thirds[row / 3] + row % 3 * stride);
#pragma clang loop unroll(full)
            for (size_t p = 0; p < panels; p++) s[p][row] = times_plus(value, w[p], s[p][row]);
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < BLOCK / 3; i++) thirds[i]++;
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < panels * height; i++) {
        store(sums + (i / height * CHUNK + i % height) * ROWS, s[i / height][i % height]);
    }
}

/// `multiply_tile` for a number of panels that is a constant.
MARTLET_INLINE void multiply_block(
    const size_t panels, size_t height, const float *tiles, size_t count, const float *x, size_t stride, float *sums,
    prefetch ahead) {
#define MARTLET_HEIGHT(n) case n: multiply_tile(panels, n, tiles, count, x, stride, sums, ahead); break
    switch (height) {
        MARTLET_HEIGHT(1);
        MARTLET_HEIGHT(2);
        MARTLET_HEIGHT(3);
        MARTLET_HEIGHT(4);
        MARTLET_HEIGHT(5);
        MARTLET_HEIGHT(6);
#if MARTLET_BLOCK > 6
        MARTLET_HEIGHT(7);
        MARTLET_HEIGHT(8);
        MARTLET_HEIGHT(9);
        MARTLET_HEIGHT(10);
        MARTLET_HEIGHT(11);
        MARTLET_HEIGHT(12);
#endif
    default: __builtin_unreachable();
    }
#undef MARTLET_HEIGHT
}

/// `count` columns of `rows` rows, no more than a chunk, times `panels` tiles.
MARTLET_INLINE void multiply_blocks(
    const size_t panels, const float *tiles, size_t count, const float *x, size_t stride, size_t rows, float *sums,
    prefetch ahead) {
    const size_t blocks = (rows + BLOCK - 1) / BLOCK;
    for (size_t block = 0, start = 0; block < blocks; block++) {
        const size_t next = martlet_block_start(block + 1, rows, BLOCK);
        multiply_block(panels, next - start, tiles, count, x + start * stride, stride, sums + start * ROWS, ahead);
        start = next;
    }
}

/// `rows` rows, no more than a chunk, times `panels` panels.
static void multiply_chunk(
    const martlet_matrix *w, size_t panel, size_t panels, const float *x, size_t x_stride, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    _Alignas(64) float tiles[PANELS * COLUMNS * ROWS];
    _Alignas(64) float sums[GROUP][CHUNK * ROWS];
    for (size_t p = 0; p < panels; p++) memset(sums[p], 0, rows * ROWS * sizeof(float));
    for (size_t k = 0; k < w->columns; k += COLUMNS) {
        const size_t count = w->columns - k < COLUMNS ? w->columns - k : COLUMNS;
        for (size_t p = 0; p < panels; p += PANELS) {
            const size_t some = panels - p < PANELS ? panels - p : PANELS;
            for (size_t i = 0; i < some; i++) {
                MARTLET_SET(unpack_panel)
                (w->dtype, panel_at(w, panel + p + i), k, count, tiles + i * COLUMNS * ROWS);
            }
            const prefetch ahead = p + some < panels ? prefetch_of(w, panel + p + some, k, count)
                                                     : prefetch_of(w, panel, k + count, COLUMNS);
            if (some == PANELS) {
                multiply_blocks(PANELS, tiles, count, x + k, x_stride, rows, sums[p], ahead);
            } else {
                multiply_blocks(1, tiles, count, x + k, x_stride, rows, sums[p], ahead);
            }
        }
    }
    for (size_t p = 0; p < panels; p++) {
        for (size_t row = 0; row < rows; row++) {
            const lanes sum = load_f32(sums[p] + row * ROWS);
            finish(w, panel + p, 1, &sum, bias, y + row * stride, stride);
        }
    }
}

void MARTLET_SET(multiply)(
    const martlet_matrix *w, size_t first, size_t last, const float *x, size_t x_stride, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    if (rows <= 2) {
        MARTLET_SET(multiply_few)(w, first, last, x, x_stride, rows, bias, y, stride);
        return;
    }
    for (size_t chunk = 0; chunk < rows; chunk += CHUNK) {
        const size_t some = rows - chunk < CHUNK ? rows - chunk : CHUNK;
        for (size_t panel = first; panel < last; panel += GROUP) {
            const size_t panels = last - panel < GROUP ? last - panel : GROUP;
            multiply_chunk(
                w, panel, panels, x + chunk * x_stride, x_stride, some, bias, y + chunk * stride, stride);
        }
    }
}

#pragma clang assume_nonnull end

#endif
