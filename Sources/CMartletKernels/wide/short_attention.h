/// Attention with products of bf16: a tile of keys and values stays in the first cache while all queries visit it,
/// MARTLET_BLOCK at a time. The order of every sum is that of scalar/short_attention.c.
#ifndef MARTLET_WIDE_SHORT_ATTENTION_H
#define MARTLET_WIDE_SHORT_ATTENTION_H

#include <math.h>

#pragma clang assume_nonnull begin

enum {
    ROWS = MARTLET_PANEL_ROWS,
    TILE = MARTLET_SHORT_TILE,
    QUERIES = MARTLET_SHORT_QUERIES,
    /// Queries in registers at once, and panels of scores or outputs.
    BLOCK = MARTLET_BLOCK,
    PANELS = MARTLET_PANELS,
};

/// What is known of the queries so far.
typedef struct attending {
    const martlet_short_attention *a;
    /// Scaled and rounded, `apart` apart.
    uint16_t *queries;
    size_t apart;
    float highest[QUERIES];
    float denominators[QUERIES];
    float *_Nonnull outputs[QUERIES];
} attending;

/// sums[row] += PANELS panels of bf16 with `columns` columns times `height` rows of x; all but columns are constants.
MARTLET_INLINE void add_panels(
    const size_t panels, const size_t height, const uint16_t *w, size_t columns, const uint16_t *x, size_t apart,
    lanes sums[_Nonnull PANELS][BLOCK]) {
    const uint16_t *thirds[BLOCK / 3];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] = x + 3 * i * apart;
    for (size_t k = 0; k < columns; k += 2, w += 2 * ROWS) {
        pairs two[PANELS];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) two[p] = load_pairs(w + p * columns * ROWS);
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
#pragma clang loop unroll(full)
            for (size_t p = 0; p < panels; p++) {
                sums[p][row] = add_pairs(sums[p][row], two[p], thirds[row / 3] + row % 3 * apart);
            }
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < BLOCK / 3; i++) thirds[i] += 2;
    }
}

/// scores[row] = queries . keys of the tile.
MARTLET_INLINE void score(
    const size_t height, const attending *now, size_t query, const uint16_t *keys,
    float scores[_Nonnull BLOCK][TILE]) {
    const size_t dimension = now->a->dimension;
#pragma clang loop unroll(full)
    for (size_t first = 0; first < TILE / ROWS; first += PANELS) {
        lanes sums[PANELS][BLOCK];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < PANELS; p++) {
#pragma clang loop unroll(full)
            for (size_t row = 0; row < height; row++) sums[p][row] = (lanes){0};
        }
        add_panels(PANELS, height, keys + first * ROWS * dimension, dimension, now->queries + query * now->apart,
            now->apart, sums);
#pragma clang loop unroll(full)
        for (size_t p = 0; p < PANELS; p++) {
#pragma clang loop unroll(full)
            for (size_t row = 0; row < height; row++) store(scores[row] + (first + p) * ROWS, sums[p][row]);
        }
    }
}

/// Turns the first `count` scores of a query into weights, the others into 0; returns what its output so far is to be
/// multiplied by.
MARTLET_INLINE float weigh(attending *now, size_t query, size_t count, const float *scores, uint16_t *weights) {
    const float lowest = -INFINITY, none = 0;
    lanes s[TILE / ROWS];
    lanes best = broadcast(&now->highest[query]);
#pragma clang loop unroll(full)
    for (size_t k = 0; k < TILE / ROWS; k++) {
        const size_t left = count > k * ROWS ? count - k * ROWS : 0;
        s[k] = first_of(load_f32(scores + k * ROWS), left, broadcast(&lowest));
        best = larger(s[k], best);
    }
    const float maximum = largest_of(best);
    const float rescale = martlet_exponential(now->highest[query] - maximum);
    lanes sum = (lanes){0};
#pragma clang loop unroll(full)
    for (size_t k = 0; k < TILE / ROWS; k++) {
        const size_t left = count > k * ROWS ? count - k * ROWS : 0;
        const lanes weight = rounded_to_bf16(exponential(minus(s[k], broadcast(&maximum))));
        const lanes kept = first_of(weight, left, broadcast(&none));
        store_bf16(weights + k * ROWS, kept);
        sum = plus(sum, kept);
    }
    now->highest[query] = maximum;
    now->denominators[query] = now->denominators[query] * rescale + sum_of(sum);
    return rescale;
}

/// outputs = outputs * rescale + weights . values for `panels` panels of dimensions from d on.
MARTLET_INLINE void accumulate(
    const size_t panels, const size_t height, const attending *now, size_t query, size_t d, const uint16_t *values,
    uint16_t weights[_Nonnull BLOCK][TILE], const float rescale[_Nonnull BLOCK]) {
    lanes sums[PANELS][BLOCK];
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) {
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            sums[p][row] = times(load_f32(now->outputs[query + row] + d + p * ROWS), broadcast(rescale + row));
        }
    }
    add_panels(panels, height, values + d * TILE, TILE, weights[0], TILE, sums);
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) {
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) store(now->outputs[query + row] + d + p * ROWS, sums[p][row]);
    }
}

/// `height` queries from `query` on over the first `count` positions of a tile.
MARTLET_INLINE void visit(const size_t height, attending *now, size_t query, const uint16_t *tile, size_t count) {
    _Alignas(64) float scores[BLOCK][TILE];
    _Alignas(64) uint16_t weights[BLOCK][TILE];
    float rescale[BLOCK];
    const size_t dimension = now->a->dimension;
    const uint16_t *values = tile + TILE * dimension;
    score(height, now, query, tile, scores);
    for (size_t i = 0; i < height; i++) rescale[i] = weigh(now, query + i, count, scores[i], weights[i]);
    size_t d = 0;
    for (; d + PANELS * ROWS <= dimension; d += PANELS * ROWS) {
        accumulate(PANELS, height, now, query, d, values, weights, rescale);
    }
    for (; d < dimension; d += ROWS) accumulate(1, height, now, query, d, values, weights, rescale);
}

MARTLET_INLINE void visit_some(size_t height, attending *now, size_t query, const uint16_t *tile, size_t count) {
    switch (height) {
    case 1: visit(1, now, query, tile, count); break;
    case 2: visit(2, now, query, tile, count); break;
    case 3: visit(3, now, query, tile, count); break;
#if MARTLET_BLOCK > 3
    case 4: visit(4, now, query, tile, count); break;
    case 5: visit(5, now, query, tile, count); break;
    case 6: visit(6, now, query, tile, count); break;
#endif
    default: __builtin_unreachable();
    }
}

/// Scales and rounds a query and begins its sums.
static void begin(attending *now, size_t row, size_t query) {
    const martlet_short_attention *a = now->a;
    const lanes scale = broadcast(&a->scale);
    now->outputs[query] = a->output + row * a->output_stride;
    for (size_t d = 0; d < a->dimension; d += ROWS) {
        float scaled[ROWS];
        store(scaled, times(load_f32(a->queries + row * a->query_stride + d), scale));
        // What is too large becomes infinite, as in arithmetic.
        (void)martlet_narrow_avx2(MARTLET_BF16, scaled, now->queries + query * now->apart + d, ROWS);
        store(now->outputs[query] + d, (lanes){0});
    }
    now->highest[query] = -INFINITY;
    now->denominators[query] = 0;
}

__attribute__((noinline)) static void attend(const martlet_short_attention *a, uint16_t *scratch) {
    attending now = {.a = a, .queries = scratch, .apart = martlet_bf16_row_stride(a->dimension)};
    for (size_t first = 0; first < a->rows; first += QUERIES) {
        const size_t queries = a->rows - first < QUERIES ? a->rows - first : QUERIES;
        for (size_t i = 0; i < queries; i++) begin(&now, first + i, i);
        const uint16_t *tile = a->tiles;
        for (size_t at = 0; at < a->positions; at += TILE, tile += martlet_short_tile(a->dimension)) {
            const size_t count = a->positions - at < TILE ? a->positions - at : TILE;
            for (size_t i = 0; i < queries; i += BLOCK) {
                visit_some(queries - i < BLOCK ? queries - i : BLOCK, &now, i, tile, count);
            }
        }
        for (size_t i = 0; i < queries; i++) {
            for (size_t d = 0; d < a->dimension; d++) now.outputs[i][d] /= now.denominators[i];
        }
    }
}

void MARTLET_SET(short_attention)(const martlet_short_attention *a, uint16_t *scratch) {
    const unsigned long before = martlet_begin_flushing();
    attend(a, scratch);
    martlet_end_flushing(before);
}

#pragma clang assume_nonnull end

#endif
