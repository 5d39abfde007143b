#include "twins.h"

/// A cache of one key/value head, and what it is asked.
typedef struct scene {
    martlet_dtype dtype;
    size_t dimension, rows, heads, positions, block_size;
    bool causal;
} scene;

static size_t size_of(martlet_dtype dtype) { return dtype == MARTLET_F32 ? 4 : dtype == MARTLET_Q8_0 ? 1 : 2; }

/// Random numbers of a plain type, or bytes.
static void *make_values(martlet_dtype dtype, size_t count) {
    float *values = memory(count * 4);
    void *stored = memory(count * size_of(dtype));
    fill(values, count);
    if (dtype == MARTLET_Q8_0) {
        for (size_t i = 0; i < count; i++) ((int8_t *)stored)[i] = (int8_t)(values[i] * 127);
    } else {
        truth->narrow(dtype, values, stored, count);
    }
    free(values);
    return stored;
}

static void run_both(const martlet_attention *asked, output y, const char *kind) {
    martlet_attention of_truth = *asked, of_twin = *asked;
    of_truth.output = (float *)y.truth;
    of_twin.output = (float *)y.twin;
    float *scratch = memory(martlet_attention_scratch(asked->dimension) * 4);
    if (!counting) {
        truth->attention(&of_truth, scratch);
        twin->attention(&of_twin, scratch);
    }
    compare(y, "attention %s, %s, dimension %zu, %zu rows of %zu heads, %zu positions in blocks of %zu", kind,
        type_names[asked->dtype], asked->dimension, asked->rows, asked->heads, asked->positions, asked->block_size);
    free(scratch);
}

/// Keys [dimension][slot] and values [slot][dimension] in blocks that lie in no order.
static void cache_case(scene s) {
    const size_t last = s.positions + (s.causal ? s.rows - 1 : 0), used = (last + s.block_size - 1) / s.block_size;
    const size_t each = s.block_size * s.dimension, bytes = (2 * each * size_of(s.dtype) + 3) / 4 * 4;
    float *queries = memory(s.rows * (s.heads * s.dimension + 1) * 4);
    fill(queries, s.rows * (s.heads * s.dimension + 1));
    const size_t count = (used + 1) * bytes / size_of(s.dtype);
    char *cache = make_values(s.dtype, count);
    // The scales of a block's keys, then of its values, as far apart as blocks are.
    float *scales = memory((used + 1) * bytes + 2 * s.block_size * sizeof *scales);
    fill(scales, ((used + 1) * bytes / 4 + 2 * s.block_size));
    int32_t *order = memory(used * sizeof *order);
    for (size_t i = 0; i < used; i++) order[i] = (int32_t)(used - i);
    const martlet_attention asked = {
        .queries = queries, .query_stride = s.heads * s.dimension + 1, .output_stride = s.heads * s.dimension + 3,
        .rows = s.rows, .heads = s.heads, .dimension = s.dimension, .positions = s.positions, .causal = s.causal,
        .scale = 4, .dtype = s.dtype, .keys = cache, .values = cache + each * size_of(s.dtype), .blocks = order,
        .block_size = s.block_size, .block_bytes = bytes, .key_stride = 1, .key_dimension_stride = s.block_size,
        .value_stride = s.dimension, .key_scales = scales, .value_scales = scales + s.block_size};
    run_both(&asked, make_output(s.rows * asked.output_stride * 4), s.causal ? "causal" : "over all");
    free(queries), free(cache), free(order), free(scales);
}

/// f32 keys and values [position][dimension], as a picture has them.
static void picture_case(size_t dimension, size_t rows, size_t positions) {
    const size_t stride = 3 * dimension + 1;
    float *fused = memory((rows > positions ? rows : positions) * stride * 4);
    fill(fused, (rows > positions ? rows : positions) * stride);
    const int32_t block = 0;
    const martlet_attention asked = {
        .queries = fused, .query_stride = stride, .output_stride = dimension, .rows = rows, .heads = 1,
        .dimension = dimension, .positions = positions, .causal = false, .scale = 4, .dtype = MARTLET_F32,
        .keys = fused + dimension, .values = fused + 2 * dimension, .blocks = &block, .block_size = positions,
        .block_bytes = 0, .key_stride = stride, .key_dimension_stride = 1, .value_stride = stride};
    run_both(&asked, make_output(rows * dimension * 4), "of a picture");
    free(fused);
}

/// The same by products of bf16, with some of the keys and values next to nothing.
static void short_case(size_t dimension, size_t rows, size_t positions) {
    const size_t stride = 3 * dimension + 1, count = (rows > positions ? rows : positions) * stride;
    const size_t tiles = (positions + MARTLET_SHORT_TILE - 1) / MARTLET_SHORT_TILE;
    const size_t each = martlet_short_tile(dimension);
    float *fused = memory(count * 4);
    uint16_t *scratch = memory(martlet_short_scratch(dimension) * 2);
    fill(fused, count);
    for (size_t i = 0; i < count; i += 7) fused[i] *= 1e-20f;
    output packed = make_output(tiles * each * 2), y = make_output(rows * (dimension + 3) * 4);
    const martlet_kernel_table *tables[] = {truth, twin};
    for (size_t t = 0; t < 2 && !counting; t++) {
        uint16_t *start = (uint16_t *)(t == 0 ? packed.truth : packed.twin);
        for (size_t i = 0; i < tiles; i++) {
            const float *keys = fused + i * MARTLET_SHORT_TILE * stride + dimension;
            const size_t left = positions - i * MARTLET_SHORT_TILE;
            tables[t]->pack_tile(keys, keys + dimension, stride,
                left < MARTLET_SHORT_TILE ? left : MARTLET_SHORT_TILE, dimension, start + i * each);
        }
        const martlet_short_attention asked = {
            .queries = fused, .query_stride = stride, .output = (float *)(t == 0 ? y.truth : y.twin),
            .output_stride = dimension + 3, .rows = rows, .dimension = dimension, .positions = positions, .scale = 4,
            .tiles = start};
        tables[t]->short_attention(&asked, scratch);
    }
    compare(y, "short_attention, dimension %zu, %zu rows, %zu positions", dimension, rows, positions);
    compare(packed, "pack_tile, dimension %zu, %zu positions", dimension, positions);
    free(fused), free(scratch);
}

void attention_cases(void) {
    static const size_t dimensions[] = {8, 12, 24, 64, 128}, positions[] = {1, 2, 15, 16, 17, 31, 32, 33, 70};
    static const size_t rows[] = {1, 2, 5, 11}, sizes[] = {16, 5};
    size_t index = 0;
    static const martlet_dtype types[] = {MARTLET_F32, MARTLET_F16, MARTLET_BF16, MARTLET_Q8_0};
    for (size_t type = 0; type < 4; type++) {
        for (size_t d = 0; d < 5; d++) {
            for (size_t p = 0; p < 9; p++, index++) {
                for (size_t r = 0; r < 4; r++) {
                    // Heads, sizes of blocks and masks take turns.
                    const size_t heads = r == 0 ? 1 + index % 9 : 1 + index % 3, size = sizes[(index + r) % 2];
                    const bool causal = index % 5 != 0;
                    cache_case((scene){types[type], dimensions[d], rows[r], heads, positions[p], size, causal});
                }
            }
        }
    }
    // More queries than are kept at once.
    for (size_t type = 0; type < 4; type++) cache_case((scene){types[type], 24, 45, 3, 20, 16, true});
    for (size_t d = 0; d < 5; d++) {
        for (size_t p = 0; p < 9; p++) picture_case(dimensions[d], 1 + 4 * (p % 3), positions[p]);
        for (size_t p = 0; p < 9; p++) short_case(16 * (d + 1), 1 + 12 * p, 2 * positions[p] + 1);
    }
}
