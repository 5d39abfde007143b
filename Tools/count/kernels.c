// Calls every kernel of one table on a small fixed input, under callgrind, which counts each case by itself:
// count.py. The counts are the same on any machine, however busy.
#include "CMartletKernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { ROWS = 64, COLUMNS = 512, TOKENS = 8, HEADS = 4, DIMENSION = 64, POSITIONS = 96, LOGITS = 4096 };
enum { MOST = TOKENS * 2 * COLUMNS };

static const martlet_kernel_table *table;
static const char *wanted;
static uint64_t state = 1;

static uint32_t next_random(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void fill(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = (float)(next_random() % 2001) / 1000 - 1;
}

static void *memory(size_t bytes) {
    void *start = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (start == NULL) exit(2);
    memset(start, 0, (bytes + 63) / 64 * 64);
    return start;
}

/// Counts what `statement` runs, under `name`.
#define COUNT(name, statement)                                                                                         \
    do {                                                                                                               \
        CALLGRIND_ZERO_STATS;                                                                                          \
        statement;                                                                                                     \
        CALLGRIND_DUMP_STATS_AT(name);                                                                                 \
    } while (0)

static const struct {
    martlet_dtype dtype;
    const char *name;
    size_t elements, bytes;
} types[] = {
    {MARTLET_F32, "f32", 1, 4},      {MARTLET_F16, "f16", 1, 2},      {MARTLET_BF16, "bf16", 1, 2},
    {MARTLET_Q4_0, "q4_0", 32, 18},  {MARTLET_Q4_1, "q4_1", 32, 20},  {MARTLET_Q5_0, "q5_0", 32, 22},
    {MARTLET_Q5_1, "q5_1", 32, 24},  {MARTLET_Q8_0, "q8_0", 32, 34},  {MARTLET_Q4_K, "q4_K", 256, 144},
    {MARTLET_Q5_K, "q5_K", 256, 176}, {MARTLET_Q6_K, "q6_K", 256, 210},
};
enum { TYPES = sizeof types / sizeof types[0] };

/// Products of every type with one row and with several, in each precision of activations.
static void products(void) {
    float *x = memory(MOST * sizeof *x), *y = memory(MOST * sizeof *y);
    void *quantized = memory(TOKENS * martlet_int8_row_bytes(COLUMNS));
    uint16_t *rounded = memory(TOKENS * martlet_bf16_row_stride(COLUMNS) * sizeof *rounded);
    fill(x, MOST);
    COUNT("quantize_rows", table->quantize_rows(x, COLUMNS, TOKENS, COLUMNS, quantized));
    for (size_t type = 0; type < TYPES; type++) {
        const size_t stride = COLUMNS / types[type].elements * types[type].bytes;
        uint8_t *stored = memory(ROWS * stride), *panels = memory(ROWS * stride);
        // Zeros are as much work as other numbers.
        for (size_t row = 0; row < ROWS; row += MARTLET_PANEL_ROWS) {
            table->pack_panel(types[type].dtype, stored + row * stride, stride, MARTLET_PANEL_ROWS, COLUMNS,
                panels + row * stride);
        }
        const martlet_matrix w = {panels, ROWS, COLUMNS, types[type].dtype};
        const size_t last = ROWS / MARTLET_PANEL_ROWS;
        char name[64];
        snprintf(name, sizeof name, "unpack_row %s", types[type].name);
        COUNT(name, table->unpack_row(&w, 5, y));
        for (size_t rows = 1; rows <= TOKENS; rows += TOKENS - 1) {
            snprintf(name, sizeof name, "multiply %s by %zu", types[type].name, rows);
            COUNT(name, table->multiply(&w, 0, last, x, COLUMNS, rows, NULL, y, ROWS));
            if (types[type].dtype == MARTLET_BF16) {
                snprintf(name, sizeof name, "multiply_bf16 by %zu", rows);
                COUNT(name, table->multiply_bf16(&w, 0, last, rounded, rows, NULL, y, ROWS));
            }
            if (types[type].elements == 1) continue;
            snprintf(name, sizeof name, "multiply_int8 %s by %zu", types[type].name, rows);
            COUNT(name, table->multiply_int8(&w, 0, last, quantized, rows, NULL, y, ROWS));
        }
        free(stored);
        free(panels);
    }
    free(x), free(y), free(quantized), free(rounded);
}

static void elementwise(void) {
    float *x = memory(MOST * sizeof *x), *y = memory(MOST * sizeof *y), *weight = memory(COLUMNS * sizeof *weight);
    fill(x, MOST);
    fill(weight, COLUMNS);
    const martlet_dtype half[] = {MARTLET_F16, MARTLET_BF16};
    const char *names[] = {"f16", "bf16"};
    char name[64];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "narrow %s", names[i]);
        COUNT(name, table->narrow(half[i], x, y, COLUMNS));
        snprintf(name, sizeof name, "widen %s", names[i]);
        COUNT(name, table->widen(half[i], y, x, COLUMNS));
        snprintf(name, sizeof name, "store %s", names[i]);
        COUNT(name, table->store(half[i], x, y, 1, COLUMNS));
    }
    fill(x, MOST);
    COUNT("store_int8", table->store_int8(x, (int8_t *)y, 16, DIMENSION));
    COUNT("add", table->add(y, x, COLUMNS));
    COUNT("rms_norm", table->rms_norm(x, COLUMNS, weight, 1e-5f, y, COLUMNS, TOKENS, COLUMNS));
    COUNT("add_rms_norm", table->add_rms_norm(x, COLUMNS, weight, 1e-5f, y, COLUMNS, TOKENS, COLUMNS));
    COUNT("layer_norm", table->layer_norm(x, COLUMNS, weight, weight, 1e-5f, y, COLUMNS, TOKENS, COLUMNS));
    COUNT("silu_multiply", table->silu_multiply(x, 2 * COLUMNS, y, COLUMNS, TOKENS, COLUMNS));
    // Angles of one row for all: the table's rows are 0 apart.
    COUNT("rotate interleaved", table->rotate(x, COLUMNS, HEADS, DIMENSION, weight, 0, DIMENSION / 2, true, TOKENS));
    COUNT("rotate halves", table->rotate(x, COLUMNS, HEADS, DIMENSION, weight, 0, DIMENSION / 2, false, TOKENS));
    free(x), free(y), free(weight);
}

/// Attention of one decoded token and of a prefill, over keys that lie [dimension][slot] and values [slot][dimension].
static void attention(martlet_dtype dtype, size_t bytes, const char *name) {
    enum { BLOCK = 16, BLOCKS = POSITIONS / BLOCK + 1 };
    float *queries = memory(MOST * sizeof *queries), *output = memory(MOST * sizeof *output);
    float *scratch = memory(martlet_attention_scratch(DIMENSION) * sizeof *scratch);
    void *keys = memory(BLOCKS * BLOCK * DIMENSION * bytes), *values = memory(BLOCKS * BLOCK * DIMENSION * bytes);
    float *scales = memory(BLOCKS * BLOCK * DIMENSION * bytes);
    int32_t blocks[BLOCKS];
    for (int32_t i = 0; i < BLOCKS; i++) blocks[i] = i;
    fill(queries, MOST);
    for (size_t rows = 1; rows <= TOKENS; rows += TOKENS - 1) {
        const martlet_attention scene = {
            .queries = queries, .query_stride = HEADS * DIMENSION, .output = output,
            .output_stride = HEADS * DIMENSION, .rows = rows, .heads = HEADS, .dimension = DIMENSION,
            .positions = POSITIONS, .causal = true, .scale = 0.125f, .dtype = dtype, .keys = keys,
            .values = values, .blocks = blocks, .block_size = BLOCK, .block_bytes = BLOCK * DIMENSION * bytes,
            .key_stride = 1, .key_dimension_stride = BLOCK, .value_stride = DIMENSION, .key_scales = scales,
            .value_scales = scales};
        char full[64];
        snprintf(full, sizeof full, "%s by %zu", name, rows);
        COUNT(full, table->attention(&scene, scratch));
    }
    free(queries), free(output), free(scratch), free(keys), free(values), free(scales);
}

static void choice(void) {
    float *x = memory(LOGITS * sizeof *x), maximum;
    uint64_t *weights = memory(LOGITS * sizeof *weights);
    uint32_t ids[20], random[4];
    const uint32_t counter[4] = {1, 2, 3, 4}, key[2] = {5, 6};
    fill(x, LOGITS);
    COUNT("philox", table->philox(counter, key, random));
    COUNT("maximum", table->maximum(x, LOGITS, &maximum));
    COUNT("first", table->first(x, LOGITS, 2));
    uint64_t total;
    COUNT("weigh", total = table->weigh(x, LOGITS, maximum, 0.8f, weights));
    COUNT("top", table->top(x, LOGITS, 20, ids));
    COUNT("choose", table->choose(LOGITS, weights, total - 1));
    COUNT("keep_above", total = table->keep_above(LOGITS, total / LOGITS / 2, weights));
    COUNT("keep_best", table->keep_best(x, LOGITS, true, total / 2, weights));
    free(x), free(weights);
}

int main(int count, char **arguments) {
    wanted = count > 1 ? arguments[1] : "avx2";
    table = martlet_kernels(wanted);
    if (table == NULL) {
        fprintf(stderr, "no table %s here\n", wanted);
        return 2;
    }
    products();
    elementwise();
    attention(MARTLET_F16, 2, "attention");
    attention(MARTLET_Q8_0, 1, "attention int8");
    choice();
    return 0;
}
