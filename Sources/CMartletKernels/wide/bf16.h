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
    /// Columns of activations and weights that stay in the first cache together.
    COLUMNS = 512,
    /// Rows of activations that meet a panel before the next.
    CHUNK = 96,
    /// How many columns ahead weights are asked for.
    AHEAD = 256,
};

/// sums += `count` columns of `panels` panels times `height` rows of x, rows `apart` apart; sums: [panels][CHUNK][16].
/// panels and height are constants where this is called.
MARTLET_INLINE void multiply_tile(
    const size_t panels, const size_t height, const uint8_t *_Nonnull const *_Nonnull w, size_t count,
    const uint16_t *x, size_t apart, float *sums) {
    lanes s[PANELS][BLOCK];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < panels * height; i++) {
        s[i / height][i % height] = load_f32(sums + (i / height * CHUNK + i % height) * ROWS);
    }
    // Every third row has a register; the others are one or two strides from it.
    const uint16_t *thirds[BLOCK / 3];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] = x + 3 * i * apart;
    for (size_t k = 0; k < count; k += 2) {
        pairs two[PANELS];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) {
            const uint8_t *at = w[p] + 2 * k * ROWS;
            _mm_prefetch((const char *)at + 2 * AHEAD * ROWS, _MM_HINT_T0);
            two[p] = load_pairs(at);
        }
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
#pragma clang loop unroll(full)
            for (size_t p = 0; p < panels; p++) s[p][row] = add_pairs(s[p][row], two[p], thirds[row / 3] + row % 3 * apart);
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] += 2;
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < panels * height; i++) {
        store(sums + (i / height * CHUNK + i % height) * ROWS, s[i / height][i % height]);
    }
}

/// `multiply_tile` for a number of panels that is a constant.
MARTLET_INLINE void multiply_block(
    const size_t panels, size_t height, const uint8_t *_Nonnull const *_Nonnull w, size_t count, const uint16_t *x,
    size_t apart, float *sums) {
#define MARTLET_HEIGHT(n) case n: multiply_tile(panels, n, w, count, x, apart, sums); break
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

/// `panels` panels from `panel` on times all rows, no more than a chunk. panels is a constant where this is called.
MARTLET_INLINE void multiply_chunk(
    const size_t panels, const martlet_matrix *w, size_t panel, const uint16_t *x, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    _Alignas(64) float sums[PANELS * CHUNK * ROWS];
    const size_t bytes = martlet_panel_bytes(MARTLET_BF16, w->columns), blocks = (rows + BLOCK - 1) / BLOCK;
    const size_t apart = martlet_bf16_row_stride(w->columns);
    for (size_t p = 0; p < panels; p++) memset(sums + p * CHUNK * ROWS, 0, rows * ROWS * sizeof *sums);
    for (size_t k = 0; k < w->columns; k += COLUMNS) {
        const size_t count = w->columns - k < COLUMNS ? w->columns - k : COLUMNS;
        const uint8_t *from[PANELS];
        for (size_t p = 0; p < panels; p++) from[p] = (const uint8_t *)w->panels + (panel + p) * bytes + 2 * k * ROWS;
        for (size_t block = 0; block < blocks; block++) {
            const size_t start = martlet_block_start(block, rows, BLOCK);
            const size_t height = martlet_block_start(block + 1, rows, BLOCK) - start;
            multiply_block(panels, height, from, count, x + start * apart + k, apart, sums + start * ROWS);
        }
    }
    for (size_t p = 0; p < panels; p++) finish(w, panel + p, sums + p * CHUNK * ROWS, rows, bias, y, stride);
}

__attribute__((noinline)) static void multiply_all(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *packed, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    for (size_t chunk = 0; chunk < rows; chunk += CHUNK) {
        const size_t some = rows - chunk < CHUNK ? rows - chunk : CHUNK;
        const uint16_t *x = packed + chunk * martlet_bf16_row_stride(w->columns);
        size_t panel = first;
        for (; panel + PANELS <= last; panel += PANELS) {
            multiply_chunk(PANELS, w, panel, x, some, bias, y + chunk * stride, stride);
        }
        for (; panel < last; panel++) multiply_chunk(1, w, panel, x, some, bias, y + chunk * stride, stride);
    }
}

void MARTLET_SET(multiply_bf16)(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *packed, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    const unsigned before = begin_pairs();
    multiply_all(w, first, last, packed, rows, bias, y, stride);
    end_pairs(before);
}

#pragma clang assume_nonnull end

#endif
