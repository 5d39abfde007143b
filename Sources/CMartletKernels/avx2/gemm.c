/// Products of up to six rows of activations with panels of sixteen rows of weights, in registers of eight. Weights are
/// made f32 a tile at a time in the first cache and used for all rows of a chunk; each sum is the one chain of
/// scalar/gemm.c, kept in memory between tiles.
#include "../kernels.h"

#if defined(__x86_64__)
#include "panel.h"

#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum {
    /// Rows of activations in registers at once: 6 x 2 sums, 2 weights, 1 activation of 16 registers.
    BLOCK = 6,
    /// Columns of a tile: 16 KiB of f32.
    COLUMNS = 256,
    /// Panels that share a pass over the activations.
    GROUP = 4,
    /// Rows of activations that share a tile; their columns of a tile (192 KiB) stay in the second cache.
    CHUNK = 32 * BLOCK,
};

void martlet_pack_rows_avx2(
    const float *x, size_t stride, size_t rows, size_t columns, size_t first, size_t last, float *packed) {
    for (size_t block = first; block < last; block++) {
        const size_t start = martlet_block_start(block, rows, BLOCK);
        const size_t height = martlet_block_start(block + 1, rows, BLOCK) - start;
        float *target = packed + start * columns;
        for (size_t row = 0; row < height; row++) {
            const float *source = x + (start + row) * stride;
            for (size_t k = 0; k < columns; k++) target[k * height + row] = source[k];
        }
    }
}

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

/// sums[row] += x[row] . tile for `count` columns; x: [count][height]; sums: [height][16]. Meanwhile `ahead` is
/// fetched. height is a constant where this is called.
MARTLET_INLINE void multiply_tile(
    const size_t height, const float *tile, size_t count, const float *x, float *sums, prefetch ahead) {
    const size_t step = ahead.bytes / count;
    pair s[BLOCK];
#pragma clang loop unroll(full)
    for (size_t row = 0; row < height; row++) s[row] = load_f32(sums + row * ROWS);
    for (size_t k = 0; k < count; k++) {
        _mm_prefetch(ahead.start + k * step, _MM_HINT_T0);
        const pair w = load_f32(tile + k * ROWS);
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            const __m256 value = _mm256_broadcast_ss(x + k * height + row);
            s[row].low = _mm256_fmadd_ps(value, w.low, s[row].low);
            s[row].high = _mm256_fmadd_ps(value, w.high, s[row].high);
        }
    }
#pragma clang loop unroll(full)
    for (size_t row = 0; row < height; row++) store(sums + row * ROWS, s[row]);
}

static void multiply_block(
    size_t height, const float *tile, size_t count, const float *x, float *sums, prefetch ahead) {
    switch (height) {
    case 1: multiply_tile(1, tile, count, x, sums, ahead); break;
    case 2: multiply_tile(2, tile, count, x, sums, ahead); break;
    case 3: multiply_tile(3, tile, count, x, sums, ahead); break;
    case 4: multiply_tile(4, tile, count, x, sums, ahead); break;
    case 5: multiply_tile(5, tile, count, x, sums, ahead); break;
    default: multiply_tile(6, tile, count, x, sums, ahead); break;
    }
}

void martlet_finish_avx2(
    const martlet_matrix *w, size_t panel, const float *sums, size_t rows, const float *_Nullable bias, float *y,
    size_t stride) {
    const size_t column = panel * ROWS, width = w->rows - column < ROWS ? w->rows - column : ROWS;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < width; i++) {
            const float sum = sums[row * ROWS + i];
            y[row * stride + column + i] = bias ? sum + bias[column + i] : sum;
        }
    }
}

/// Blocks [first, last) of the activations times `panels` panels.
static void multiply_chunk(
    const martlet_matrix *w, size_t panel, size_t panels, const float *packed, size_t rows, size_t first, size_t last,
    const float *_Nullable bias, float *y, size_t stride) {
    _Alignas(64) float tile[COLUMNS * ROWS];
    _Alignas(64) float sums[GROUP][CHUNK * ROWS];
    const size_t base = martlet_block_start(first, rows, BLOCK), end = martlet_block_start(last, rows, BLOCK);
    for (size_t p = 0; p < panels; p++) memset(sums[p], 0, (end - base) * ROWS * sizeof(float));
    for (size_t k = 0; k < w->columns; k += COLUMNS) {
        const size_t count = w->columns - k < COLUMNS ? w->columns - k : COLUMNS;
        for (size_t p = 0; p < panels; p++) {
            martlet_unpack_panel_avx2(w->dtype, panel_at(w, panel + p), k, count, tile);
            const prefetch ahead = p + 1 < panels ? prefetch_of(w, panel + p + 1, k, count)
                                                  : prefetch_of(w, panel, k + count, COLUMNS);
            for (size_t block = first, start = base; block < last; block++) {
                const size_t next = martlet_block_start(block + 1, rows, BLOCK), height = next - start;
                const float *x = packed + start * w->columns + k * height;
                multiply_block(height, tile, count, x, sums[p] + (start - base) * ROWS, ahead);
                start = next;
            }
        }
    }
    for (size_t p = 0; p < panels; p++) {
        martlet_finish_avx2(w, panel + p, sums[p], end - base, bias, y + base * stride, stride);
    }
}

void martlet_multiply_avx2(
    const martlet_matrix *w, size_t first, size_t last, const float *packed, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    if (rows <= 2) {
        martlet_multiply_few_avx2(w, first, last, packed, rows, bias, y, stride);
        return;
    }
    const size_t blocks = (rows + BLOCK - 1) / BLOCK, step = CHUNK / BLOCK;
    for (size_t chunk = 0; chunk < blocks; chunk += step) {
        const size_t end = blocks - chunk < step ? blocks : chunk + step;
        for (size_t panel = first; panel < last; panel += GROUP) {
            const size_t panels = last - panel < GROUP ? last - panel : GROUP;
            multiply_chunk(w, panel, panels, packed, rows, chunk, end, bias, y, stride);
        }
    }
}

void martlet_add_avx2(const float *y, float *x, size_t count) {
    const size_t whole = count / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    }
    martlet_add_scalar(y + whole, x + whole, count - whole);
}

#pragma clang attribute pop
#endif
