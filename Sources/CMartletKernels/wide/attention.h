/// Streaming softmax for up to 128 queries at a time, four of them in registers. For many queries a tile of keys and
/// values is made f32 once, keys transposed, and used by all of them; few read it where it lies in the cache. The order
/// of every sum is that of scalar/attention.c.
#ifndef MARTLET_WIDE_ATTENTION_H
#define MARTLET_WIDE_ATTENTION_H

#include <math.h>
#include <string.h>

#pragma clang assume_nonnull begin

enum {
    TILE = MARTLET_ATTENTION_TILE,
    QUERIES = MARTLET_ATTENTION_QUERIES,
    /// Queries in registers at once.
    BLOCK = 4,
    /// Sixteens of dimensions of outputs in registers at once.
    PARTS = MARTLET_PARTS,
    /// As many queries or fewer do not repay a copy of the tile.
    FEW = 2 * BLOCK,
};

/// A tile's positions by halves of 16; in elements of `dtype`.
typedef struct {
    martlet_dtype dtype;
    /// Of the half's first position; positions are adjacent, dimensions `key_stride` apart.
    const void *_Nonnull keys[TILE / 16];
    size_t key_stride;
    /// Positions are `value_stride` apart, dimensions adjacent.
    const void *_Nonnull values[TILE / 16];
    size_t value_stride;
    /// Of bytes, which may have been made f32 here; else NULL.
    const float *_Nullable key_scales[TILE / 16];
    const float *_Nullable value_scales[TILE / 16];
} tile;

/// The scratch of one call and what is known of its queries so far.
typedef struct {
    size_t dimension;
    tile tile;
    /// Copies of a tile: [dimension][TILE] and [TILE][dimension].
    float *keys;
    float *values;
    /// [QUERIES][dimension], scaled.
    float *queries;
    float *_Nonnull outputs[QUERIES];
    /// Positions that a query attends to.
    size_t counts[QUERIES];
    float highest[QUERIES];
    float denominators[QUERIES];
    /// Of a copied tile of bytes.
    float key_scales[TILE];
    float value_scales[TILE];
} attending;

// MARK: Tiles

static size_t size_of(martlet_dtype dtype) { return dtype == MARTLET_F32 ? 4 : dtype == MARTLET_Q8_0 ? 1 : 2; }

static inline eight load_8(martlet_dtype dtype, const void *x) {
    switch (dtype) {
    case MARTLET_F16: return load_8_f16(x);
    case MARTLET_BF16: return load_8_bf16(x);
    case MARTLET_Q8_0: return load_8_bytes(x);
    default: return load_8_f32(x);
    }
}

/// Elements to f32, any number of them.
static void widen(martlet_dtype dtype, const void *x, float *y, size_t count) {
    if (dtype != MARTLET_Q8_0) {
        MARTLET_WIDEN(dtype, x, y, count);
        return;
    }
    const int8_t *bytes = x;
    const size_t whole = count / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) store_8(y + i, load_8_bytes(bytes + i));
    for (size_t i = whole; i < count; i++) y[i] = bytes[i];
}

/// Keys that lie [dimension][slot]: `count` slots, to columns of `keys`.
static void copy_keys(
    martlet_dtype dtype, const char *source, size_t source_stride, size_t dimension, size_t count, float *keys) {
    const size_t whole = count / 8 * 8;
    const size_t size = size_of(dtype);
    for (size_t d = 0; d < dimension; d++, source += source_stride * size, keys += TILE) {
        for (size_t j = 0; j < whole; j += 8) store_8(keys + j, load_8(dtype, source + j * size));
        if (whole < count) widen(dtype, source + whole * size, keys + whole, count - whole);
    }
}

/// f32 keys that lie [slot][dimension]: `count` slots, to columns of `keys`.
static void transpose_keys(const float *source, size_t source_stride, size_t dimension, size_t count, float *keys) {
    const size_t whole = count / 8 * 8;
    for (size_t j = 0; j < whole; j += 8) {
        for (size_t d = 0; d < dimension; d += 8) {
            transpose_8(source + j * source_stride + d, source_stride, keys + d * TILE + j, TILE);
        }
    }
    for (size_t j = whole; j < count; j++) {
        for (size_t d = 0; d < dimension; d++) keys[d * TILE + j] = source[j * source_stride + d];
    }
}

/// Copies the keys and values of positions first ..< first + count, block by block.
static void copy_tile(const martlet_attention *a, attending *now, size_t first, size_t count) {
    const size_t size = size_of(a->dtype);
    // Columns past the last are computed and thrown away: any number will do, but for one that is slow.
    if (count < TILE) memset(now->keys, 0, now->dimension * TILE * sizeof(float));
    for (size_t done = 0; done < count;) {
        const size_t slot = (first + done) % a->block_size;
        const size_t offset = (size_t)a->blocks[(first + done) / a->block_size] * a->block_bytes;
        const size_t room = a->block_size - slot;
        const size_t run = count - done < room ? count - done : room;
        const char *keys = (const char *)a->keys + offset + slot * a->key_stride * size;
        const char *values = (const char *)a->values + offset + slot * a->value_stride * size;
        if (a->key_stride == 1) {
            copy_keys(a->dtype, keys, a->key_dimension_stride, now->dimension, run, now->keys + done);
        } else {
            transpose_keys((const float *)keys, a->key_stride, now->dimension, run, now->keys + done);
        }
        for (size_t j = 0; j < run; j++) {
            float *target = now->values + (done + j) * now->dimension;
            widen(a->dtype, values + j * a->value_stride * size, target, now->dimension);
        }
        if (a->dtype == MARTLET_Q8_0) {
            memcpy(now->key_scales + done, (const char *)a->key_scales + offset + 4 * slot, 4 * run);
            memcpy(now->value_scales + done, (const char *)a->value_scales + offset + 4 * slot, 4 * run);
        }
        done += run;
    }
    const float *keys = now->keys, *values = now->values;
    now->tile = (tile){
        .dtype = MARTLET_F32, .key_stride = TILE, .value_stride = now->dimension,
        .keys = {keys, keys + 16}, .values = {values, values + 16 * now->dimension}};
    for (size_t half = 0; half < TILE / 16 && a->dtype == MARTLET_Q8_0; half++) {
        now->tile.key_scales[half] = now->key_scales + 16 * half;
        now->tile.value_scales[half] = now->value_scales + 16 * half;
    }
}

/// Whether halves of tiles lie in the cache as they are read.
static bool lies_ready(const martlet_attention *a) {
    return a->key_stride == 1 && a->block_size % 16 == 0 && a->dimension % 16 == 0;
}

/// The tile at `first`, of `count` positions, where it lies.
static tile find_tile(const martlet_attention *a, size_t first, size_t count) {
    const size_t size = size_of(a->dtype);
    tile found = {.dtype = a->dtype, .key_stride = a->key_dimension_stride, .value_stride = a->value_stride};
    for (size_t half = 0; half < TILE / 16; half++) {
        // A half without positions is computed and thrown away: the other will do.
        const size_t position = first + (16 * half < count ? 16 * half : 0), slot = position % a->block_size;
        const size_t offset = (size_t)a->blocks[position / a->block_size] * a->block_bytes;
        found.keys[half] = (const char *)a->keys + offset + slot * size;
        found.values[half] = (const char *)a->values + offset + slot * a->value_stride * size;
        if (a->dtype != MARTLET_Q8_0) continue;
        found.key_scales[half] = (const float *)(const void *)((const char *)a->key_scales + offset) + slot;
        found.value_scales[half] = (const float *)(const void *)((const char *)a->value_scales + offset) + slot;
    }
    return found;
}

/// Asks for a tile that is wanted soon: blocks are too short for the processor to see them coming.
static void ask_for(const martlet_attention *a, tile wanted) {
    const size_t size = size_of(a->dtype);
    const size_t key_bytes = a->key_dimension_stride * size, value_bytes = a->value_stride * size;
    for (size_t half = 0; half < TILE / 16; half++) {
        const char *keys = wanted.keys[half], *values = wanted.values[half];
        for (size_t d = 0; d < a->dimension; d++) __builtin_prefetch(keys + d * key_bytes);
        for (size_t j = 0; j < 16; j++) {
            for (size_t i = 0; i < a->dimension * size; i += 64) {
                __builtin_prefetch(values + j * value_bytes + i);
            }
        }
    }
}

/// Sixteen elements from `index` on.
MARTLET_INLINE lanes elements(const martlet_dtype dtype, const void *x, size_t index) {
    switch (dtype) {
    case MARTLET_F16: return load_f16((const char *)x + 2 * index);
    case MARTLET_BF16: return load_bf16((const char *)x + 2 * index);
    case MARTLET_Q8_0: return from_bytes(load_row_bytes((const char *)x + index));
    default: return load_f32((const float *)x + index);
    }
}

// MARK: Queries

/// scores[i][j] = queries[i] . keys[:, j]. `dtype` and `has_scales`, the tile's, and `height` are constants where this
/// is called.
MARTLET_INLINE void score(
    const martlet_dtype dtype, const bool has_scales, const size_t height, const attending *now, size_t query,
    float scores[_Nonnull BLOCK][TILE]) {
    const float *queries = now->queries + query * now->dimension;
    const void *left = now->tile.keys[0], *right = now->tile.keys[1];
    lanes sums[BLOCK][TILE / 16];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) sums[i][0] = sums[i][1] = (lanes){0};
    for (size_t d = 0; d < now->dimension; d++) {
        const lanes k[] = {
            elements(dtype, left, d * now->tile.key_stride), elements(dtype, right, d * now->tile.key_stride)};
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height; i++) {
            const lanes q = broadcast(queries + i * now->dimension + d);
            sums[i][0] = times_plus(q, k[0], sums[i][0]);
            sums[i][1] = times_plus(q, k[1], sums[i][1]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) {
#pragma clang loop unroll(full)
        for (size_t half = 0; half < TILE / 16; half++) {
            if (has_scales) sums[i][half] = times(sums[i][half], load_f32(now->tile.key_scales[half]));
            store(scores[i] + 16 * half, sums[i][half]);
        }
    }
}

/// weights *= the scales of the values.
MARTLET_INLINE void scale_weights(const tile *tile, float *weights) {
#pragma clang loop unroll(full)
    for (size_t half = 0; half < TILE / 16; half++) {
        float *some = weights + 16 * half;
        store(some, times(load_f32(some), load_f32(tile->value_scales[half])));
    }
}

/// Turns the first `count` scores of a query into weights, the others into 0; returns what its output so far is to
/// be multiplied by.
static float weigh(attending *now, size_t query, size_t count, float *scores) {
    eight s[TILE / 8], best = fill_8(now->highest[query]);
    for (size_t k = 0; k < TILE / 8; k++) {
        s[k] = first_8((int)count - 8 * (int)k, load_8_f32(scores + 8 * k), fill_8(-INFINITY));
        best = greater_8(s[k], best);
    }
    const float maximum = martlet_maximum_of_8(best);
    const float rescale = martlet_exponential(now->highest[query] - maximum);
    eight sum = fill_8(0);
    for (size_t k = 0; k < TILE / 8; k++) {
        const eight e = martlet_exponential_8(minus_8(s[k], fill_8(maximum)));
        const eight weights = first_8((int)count - 8 * (int)k, e, fill_8(0));
        store_8(scores + 8 * k, weights);
        sum = plus_8(sum, weights);
    }
    now->highest[query] = maximum;
    now->denominators[query] = now->denominators[query] * rescale + martlet_sum_of_8(sum);
    return rescale;
}

/// outputs[i] = outputs[i] * rescale[i] + weights[i] . values, for `count` positions and 16 * `parts` dimensions from
/// d on. dtype, height and parts are constants where this is called.
MARTLET_INLINE void accumulate(
    const martlet_dtype dtype, const size_t height, const size_t parts, const attending *now, size_t query,
    size_t count, size_t d, float weights[_Nonnull BLOCK][TILE], const float rescale[_Nonnull BLOCK]) {
    lanes sums[BLOCK][PARTS];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height * parts; i++) {
        const size_t row = i / parts, part = i % parts;
        sums[row][part] = times(load_f32(now->outputs[query + row] + d + 16 * part), broadcast(rescale + row));
    }
    for (size_t j = 0; j < count; j++) {
        lanes value[PARTS];
#pragma clang loop unroll(full)
        for (size_t part = 0; part < parts; part++) {
            const size_t at = j % 16 * now->tile.value_stride + d + 16 * part;
            value[part] = elements(dtype, now->tile.values[j / 16], at);
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height * parts; i++) {
            const size_t row = i / parts, part = i % parts;
            sums[row][part] = times_plus(broadcast(weights[row] + j), value[part], sums[row][part]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height * parts; i++) {
        store(now->outputs[query + i / parts] + d + 16 * (i % parts), sums[i / parts][i % parts]);
    }
}

/// The same for 8 dimensions and one query, of a copied tile.
static void accumulate_8(
    const attending *now, size_t query, size_t count, size_t d, const float weights[_Nonnull TILE], float rescale) {
    float *output = now->outputs[query] + d;
    eight sum = times_8(load_8_f32(output), fill_8(rescale));
    for (size_t j = 0; j < count; j++) {
        sum = times_plus_8(fill_8(weights[j]), load_8_f32(now->values + j * now->dimension + d), sum);
    }
    store_8(output, sum);
}

/// `height` queries from `query` on over the first `count` positions of the tile.
MARTLET_INLINE void visit(
    const martlet_dtype dtype, const bool has_scales, const size_t height, attending *now, size_t query,
    size_t count) {
    float weights[BLOCK][TILE];
    float rescale[BLOCK];
    score(dtype, has_scales, height, now, query, weights);
    for (size_t i = 0; i < height; i++) {
        rescale[i] = weigh(now, query + i, count, weights[i]);
        if (has_scales) scale_weights(&now->tile, weights[i]);
    }
    size_t d = 0;
    for (; d + 16 * PARTS <= now->dimension; d += 16 * PARTS) {
        accumulate(dtype, height, PARTS, now, query, count, d, weights, rescale);
    }
    for (; d + 16 <= now->dimension; d += 16) accumulate(dtype, height, 1, now, query, count, d, weights, rescale);
    for (size_t i = 0; i < height && d < now->dimension; i++) {
        accumulate_8(now, query + i, count, d, weights[i], rescale[i]);
    }
}

MARTLET_INLINE void visit_some(
    const martlet_dtype dtype, const bool has_scales, size_t height, attending *now, size_t query, size_t count) {
    switch (height) {
    case 1: visit(dtype, has_scales, 1, now, query, count); break;
    case 2: visit(dtype, has_scales, 2, now, query, count); break;
    case 3: visit(dtype, has_scales, 3, now, query, count); break;
    default: visit(dtype, has_scales, 4, now, query, count); break;
    }
}

/// `visit_some` of the tile that there is.
static void visit_tile(size_t height, attending *now, size_t query, size_t count) {
    switch (now->tile.dtype) {
    case MARTLET_F16: visit_some(MARTLET_F16, false, height, now, query, count); break;
    case MARTLET_BF16: visit_some(MARTLET_BF16, false, height, now, query, count); break;
    case MARTLET_Q8_0: visit_some(MARTLET_Q8_0, true, height, now, query, count); break;
    default:
        if (now->tile.key_scales[0] != NULL) {
            visit_some(MARTLET_F32, true, height, now, query, count);
        } else {
            visit_some(MARTLET_F32, false, height, now, query, count);
        }
        break;
    }
}

/// All queries over the tile at `first`, in blocks that attend to the same part of it.
static void visit_all(attending *now, size_t queries, size_t first) {
    size_t counts[QUERIES];
    for (size_t i = 0; i < queries; i++) {
        const size_t left = now->counts[i] > first ? now->counts[i] - first : 0;
        counts[i] = left < TILE ? left : TILE;
    }
    for (size_t i = 0; i < queries;) {
        size_t height = 1;
        while (height < BLOCK && i + height < queries && counts[i + height] == counts[i]) height++;
        if (counts[i] > 0) visit_tile(height, now, i, counts[i]);
        i += height;
    }
}

/// Scales the query and begins its sums.
static void begin(const martlet_attention *a, attending *now, size_t index, size_t query) {
    const size_t row = index / a->heads;
    const size_t head = index % a->heads;
    const float *source = a->queries + row * a->query_stride + head * a->dimension;
    float *target = now->queries + query * a->dimension;
    now->outputs[query] = a->output + row * a->output_stride + head * a->dimension;
    for (size_t d = 0; d < a->dimension; d++) target[d] = source[d] * a->scale;
    for (size_t d = 0; d < a->dimension; d++) now->outputs[query][d] = 0;
    now->counts[query] = a->positions + (a->causal ? row : 0);
    now->highest[query] = -INFINITY;
    now->denominators[query] = 0;
}

void MARTLET_SET(attention)(const martlet_attention *a, float *scratch) {
    const bool transposes = a->key_stride != 1;
    if (a->dimension % 8 != 0 || (transposes && (a->key_dimension_stride != 1 || a->dtype != MARTLET_F32))) {
        martlet_attention_scalar(a, scratch);
        return;
    }
    attending now = {
        .dimension = a->dimension,
        .keys = scratch,
        .values = scratch + TILE * a->dimension,
        .queries = scratch + 2 * TILE * a->dimension,
    };
    const size_t total = a->rows * a->heads;
    for (size_t first = 0; first < total; first += QUERIES) {
        const size_t queries = total - first < QUERIES ? total - first : QUERIES;
        for (size_t i = 0; i < queries; i++) begin(a, &now, first + i, i);
        const size_t positions = now.counts[queries - 1];
        for (size_t at = 0; at < positions; at += TILE) {
            const size_t count = positions - at < TILE ? positions - at : TILE;
            if (queries <= FEW && lies_ready(a)) {
                const size_t next = at + TILE, left = positions - at - count;
                if (left > 0) ask_for(a, find_tile(a, next, left < TILE ? left : TILE));
                now.tile = find_tile(a, at, count);
            } else {
                copy_tile(a, &now, at, count);
            }
            visit_all(&now, queries, at);
        }
        for (size_t i = 0; i < queries; i++) {
            for (size_t d = 0; d < a->dimension; d++) now.outputs[i][d] /= now.denominators[i];
        }
    }
}

#pragma clang assume_nonnull end

#endif
