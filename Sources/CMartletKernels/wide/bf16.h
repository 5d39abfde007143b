/// Products of activations rounded to bf16 with weights of bf16: weights go from memory to registers two columns at a
/// time, and each y is the one chain of scalar/bf16.c.
#ifndef MARTLET_WIDE_BF16_H
#define MARTLET_WIDE_BF16_H

#include "panel.h"

#pragma clang assume_nonnull begin

enum {
    /// Rows of activations in registers at once, and panels.
    BLOCK = MARTLET_BLOCK,
    PANELS = MARTLET_PANELS,
    /// Columns of a tile, at most: those of a block of activations and of its panels stay in the first cache.
    COLUMNS = 640,
    /// Rows of activations that meet a panel before the next.
    CHUNK = 96,
    /// How many columns ahead weights are asked for.
    AHEAD = 256,
};

/// A block of rows and panels, and where its sums go in the end.
typedef struct block {
    const martlet_matrix *w;
    /// Panels from this one on.
    size_t panel;
    /// Rows `apart` apart.
    const uint16_t *x;
    size_t apart;
    const float *_Nullable bias;
    float *y;
    size_t stride;
    /// The sums between tiles, [PANELS][CHUNK][16].
    float *sums;
} block;

/// sums += columns [first, last) of `panels` panels times `height` rows; panels and height are constants.
MARTLET_INLINE void multiply_tile(
    const size_t panels, const size_t height, const block *b, size_t first, size_t last) {
    lanes sums[PANELS][BLOCK];
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) {
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            sums[p][row] = first == 0 ? (lanes){0} : load_f32(b->sums + (p * CHUNK + row) * ROWS);
        }
    }
    const size_t bytes = martlet_panel_bytes(MARTLET_BF16, b->w->columns), apart = b->apart;
    const char *from = (const char *)b->w->panels + b->panel * bytes + 2 * first * ROWS;
    // Every third row has a register; the others are one or two strides from it.
    const uint16_t *thirds[BLOCK / 3];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] = b->x + first + 3 * i * apart;
    for (size_t k = first; k < last; k += 2, from += 4 * ROWS) {
        pairs w[PANELS];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) {
            __builtin_prefetch(from + p * bytes + 2 * AHEAD * ROWS);
            w[p] = load_pairs(from + p * bytes);
        }
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            const uint16_t *two = thirds[row / 3] + row % 3 * apart;
#pragma clang loop unroll(full)
            for (size_t p = 0; p < panels; p++) sums[p][row] = add_pairs(sums[p][row], w[p], two);
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] += 2;
    }
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) {
        if (last == b->w->columns) {
            finish(b->w, b->panel + p, height, sums[p], b->bias, b->y, b->stride);
        } else {
#pragma clang loop unroll(full)
            for (size_t row = 0; row < height; row++) store(b->sums + (p * CHUNK + row) * ROWS, sums[p][row]);
        }
    }
}

/// `multiply_tile` for a number of panels that is a constant.
MARTLET_INLINE void multiply_block(const size_t panels, size_t height, const block *b, size_t first, size_t last) {
#define MARTLET_HEIGHT(n) case n: multiply_tile(panels, n, b, first, last); break
    switch (height) {
        MARTLET_HEIGHT(1);
        MARTLET_HEIGHT(2);
        MARTLET_HEIGHT(3);
#if MARTLET_BLOCK > 3
        MARTLET_HEIGHT(4);
        MARTLET_HEIGHT(5);
        MARTLET_HEIGHT(6);
#endif
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

/// `panels` panels times `rows` rows, no more than a chunk; `all` is their first block. panels is a constant.
MARTLET_INLINE void multiply_chunk(const size_t panels, const block *all, size_t rows) {
    const size_t columns = all->w->columns, blocks = (rows + BLOCK - 1) / BLOCK;
    const size_t tiles = (columns + COLUMNS - 1) / COLUMNS;
    for (size_t tile = 0, first = 0; tile < tiles; tile++) {
        const size_t last = (tile + 1) * (columns / 2) / tiles * 2;
        for (size_t i = 0; i < blocks; i++) {
            const size_t start = martlet_block_start(i, rows, BLOCK);
            const size_t height = martlet_block_start(i + 1, rows, BLOCK) - start;
            block b = *all;
            b.x += start * b.apart;
            b.y += start * b.stride;
            b.sums += start * ROWS;
            if (last == columns) {
                for (size_t p = 0; p < panels; p++) ask_for_sums(b.panel + p, height, b.y, b.stride);
            }
            multiply_block(panels, height, &b, first, last);
        }
        first = last;
    }
}

__attribute__((noinline)) static void multiply_all(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *x, size_t rows, const float *_Nullable bias,
    float *y, size_t stride) {
    _Alignas(64) float sums[PANELS * CHUNK * ROWS];
    const size_t apart = martlet_bf16_row_stride(w->columns);
    for (size_t chunk = 0; chunk < rows; chunk += CHUNK) {
        const size_t some = rows - chunk < CHUNK ? rows - chunk : CHUNK;
        block b = {w, first, x + chunk * apart, apart, bias, y + chunk * stride, stride, sums};
        for (; b.panel + PANELS <= last; b.panel += PANELS) multiply_chunk(PANELS, &b, some);
        for (; b.panel < last; b.panel++) multiply_chunk(1, &b, some);
    }
}

void MARTLET_SET(multiply_bf16)(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *x, size_t rows, const float *_Nullable bias,
    float *y, size_t stride) {
    const unsigned long before = martlet_begin_flushing();
    multiply_all(w, first, last, x, rows, bias, y, stride);
    martlet_end_flushing(before);
}

#pragma clang assume_nonnull end

#endif
