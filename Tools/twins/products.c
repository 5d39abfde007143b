#include "twins.h"

/// Of a stored block: how many elements, how many bytes, and where its halves stand.
static const struct {
    size_t elements, bytes;
    int halves[2];
} blocks[] = {
    {1, 4, {-1, -1}},  {1, 2, {0, -1}},   {1, 2, {-1, -1}},  {32, 18, {0, -1}},  {32, 20, {0, 2}},  {32, 22, {0, -1}},
    {32, 24, {0, 2}},  {32, 34, {0, -1}}, {256, 144, {0, 2}}, {256, 176, {0, 2}}, {256, 210, {208, -1}},
};
enum { TYPES = sizeof blocks / sizeof blocks[0], ROOM = 3 };

/// Random stored weights, finite ones.
static void fill_stored(martlet_dtype dtype, uint8_t *stored, size_t count) {
    const size_t bytes = blocks[dtype].bytes * (count / blocks[dtype].elements);
    if (dtype == MARTLET_F32) {
        fill((float *)stored, count);
        return;
    }
    for (size_t i = 0; i < bytes; i++) stored[i] = (uint8_t)(next_random() >> 11);
    for (size_t at = 0; at < bytes; at += blocks[dtype].bytes) {
        // Exponents that are not the last one; bf16 keeps to a part of its range, so that sums are finite.
        for (size_t i = 0; i < 2; i++) {
            const int half = blocks[dtype].halves[i];
            if (half >= 0) stored[at + (size_t)half + 1] &= 0xBF;
        }
        if (dtype == MARTLET_BF16) stored[at + 1] = (stored[at + 1] & 0x83) | 0x3C;
    }
}

/// A packed matrix of random weights. The caller frees its panels.
static martlet_matrix make_matrix(martlet_dtype dtype, size_t rows, size_t columns) {
    const size_t stride = columns / blocks[dtype].elements * blocks[dtype].bytes;
    uint8_t *stored = memory(rows * stride), *panels = memory((rows + 15) / 16 * 16 * stride);
    fill_stored(dtype, stored, rows * columns);
    for (size_t row = 0; row < rows; row += MARTLET_PANEL_ROWS) {
        const size_t height = rows - row < MARTLET_PANEL_ROWS ? rows - row : MARTLET_PANEL_ROWS;
        truth->pack_panel(dtype, stored + row * stride, stride, height, columns, panels + row * stride);
    }
    free(stored);
    return (martlet_matrix){panels, rows, columns, dtype};
}

static void unpack_cases(const martlet_matrix *w) {
    const size_t grain = blocks[w->dtype].elements == 1 ? 1 : 32;
    const size_t firsts[] = {0, grain, w->columns - grain}, counts[] = {w->columns, w->columns - grain, grain};
    for (size_t i = 0; i < 3; i++) {
        output tile = make_output(w->columns * MARTLET_PANEL_ROWS * 4 + 64);
        if (!counting) {
            truth->unpack_panel(w->dtype, w->panels, firsts[i], counts[i], (float *)tile.truth);
            twin->unpack_panel(w->dtype, w->panels, firsts[i], counts[i], (float *)tile.twin);
        }
        compare(tile, "unpack_panel %s, %zu from %zu", type_names[w->dtype], counts[i], firsts[i]);
    }
    for (size_t row = 0; row < w->rows; row += w->rows > 1 ? w->rows - 1 : 1) {
        output y = make_output(w->columns * 4 + 64);
        if (!counting) {
            truth->unpack_row(w, row, (float *)y.truth);
            twin->unpack_row(w, row, (float *)y.twin);
        }
        compare(y, "unpack_row %s, row %zu of %zu", type_names[w->dtype], row, w->columns);
    }
}

static void multiply_case(const martlet_matrix *w, size_t rows, bool has_bias) {
    const size_t columns = w->columns, stride = w->rows + ROOM, panels = (w->rows + 15) / 16;
    float *x = memory(rows * (columns + 1) * 4), *bias = memory(w->rows * 4);
    const size_t apart = martlet_bf16_row_stride(columns), bytes = rows * martlet_int8_row_bytes(columns);
    uint16_t *rounded = memory(rows * apart * 2);
    void *quantized[2] = {memory(bytes), memory(bytes)};
    fill(x, rows * (columns + 1));
    fill(bias, w->rows);
    const float *b = has_bias ? bias : NULL;
    for (size_t i = 0; i < rows; i++) truth->narrow(MARTLET_BF16, x + i * (columns + 1), rounded + i * apart, columns);
    const char *name = type_names[w->dtype];
    // All panels at once, and all but the first.
    for (size_t first = 0; first < (panels > 1 ? 2 : 1); first++) {
        output y = make_output(rows * stride * 4);
        if (!counting) {
            truth->multiply(w, first, panels, x, columns + 1, rows, b, (float *)y.truth, stride);
            twin->multiply(w, first, panels, x, columns + 1, rows, b, (float *)y.twin, stride);
        }
        compare(y, "multiply %s [%zu, %zu] by %zu from panel %zu", name, w->rows, columns, rows, first);
        if (w->dtype == MARTLET_BF16 && columns % 2 == 0) {
            output z = make_output(rows * stride * 4);
            if (!counting) {
                truth->multiply_bf16(w, first, panels, rounded, rows, b, (float *)z.truth, stride);
                twin->multiply_bf16(w, first, panels, rounded, rows, b, (float *)z.twin, stride);
            }
            compare(z, "multiply_bf16 [%zu, %zu] by %zu from panel %zu", w->rows, columns, rows, first);
        }
        if (blocks[w->dtype].elements == 1) continue;
        output z = make_output(rows * stride * 4);
        if (!counting) {
            truth->quantize_rows(x, columns + 1, rows, columns, quantized[0]);
            twin->quantize_rows(x, columns + 1, rows, columns, quantized[1]);
            truth->multiply_int8(w, first, panels, quantized[0], rows, b, (float *)z.truth, stride);
            twin->multiply_int8(w, first, panels, quantized[1], rows, b, (float *)z.twin, stride);
        }
        compare(z, "multiply_int8 %s [%zu, %zu] by %zu from panel %zu", name, w->rows, columns, rows, first);
    }
    free(x), free(bias), free(rounded), free(quantized[0]), free(quantized[1]);
}

/// Groups of every kind: ordinary, nothing, next to nothing, not finite, with ties.
static void quantize_case(size_t rows, size_t columns) {
    static const float specials[] = {0, -0.0f, 1e-38f, 1e-45f, 3e38f, __builtin_inff(), -__builtin_inff()};
    const size_t stride = columns + ROOM;
    float *x = memory(rows * stride * 4);
    fill(x, rows * stride);
    for (size_t i = 0; i < rows * stride; i++) {
        // Halves, which are ties where 127 is the greatest.
        if (i / 32 % 2 == 0) x[i] = i % 16 == 0 ? 127 : (float)(int)(x[i] * 254) / 2;
        if (i / 32 % 3 == 1) x[i] *= 1e-37f;
        if (i % 7 == 0 && next_random() % 16 == 0) x[i] = specials[next_random() % 7];
        if (next_random() % 999 == 0) x[i] = __builtin_nanf("");
    }
    output packed = make_output(rows * martlet_int8_row_bytes(columns) + 64);
    if (!counting) {
        truth->quantize_rows(x, stride, rows, columns, packed.truth);
        twin->quantize_rows(x, stride, rows, columns, packed.twin);
    }
    compare(packed, "quantize_rows [%zu, %zu]", rows, columns);
    free(x);
}

void product_cases(void) {
    static const size_t heights[] = {1, 5, 16, 17, 49};
    static const size_t plain[] = {1, 3, 31, 257, 300}, small[] = {32, 96, 288, 32, 64};
    static const size_t large[] = {256, 512, 256, 256, 512};
    static const size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 9, 13};
    for (martlet_dtype dtype = MARTLET_F32; dtype < TYPES; dtype++) {
        for (size_t i = 0; i < 5; i++) {
            const size_t elements = blocks[dtype].elements;
            const size_t columns = elements == 1 ? plain[i] : elements == 32 ? small[i] : large[i];
            const martlet_matrix w = make_matrix(dtype, heights[i], columns);
            unpack_cases(&w);
            for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++) multiply_case(&w, rows[j], j % 2 == 1);
            // More rows than share a tile.
            if (i == 1) multiply_case(&w, 201, true);
            free((void *)w.panels);
        }
    }
    for (size_t i = 0; i < 40; i++) quantize_case(1 + i % 3, 32 * (1 + i % 7));
}
