/// Streaming softmax for up to 128 queries at a time: a tile of keys and values is made f32 once, keys transposed, and
/// used by all of them, four queries in registers. The order of every sum is that of scalar/attention.c.
#ifndef MARTLET_WIDE_ATTENTION_H
#define MARTLET_WIDE_ATTENTION_H

#include <math.h>
#include <string.h>

#include "../avx2/exponential.h"
#include "../avx2/reduction.h"

#pragma clang assume_nonnull begin

enum {
    TILE = MARTLET_ATTENTION_TILE,
    QUERIES = MARTLET_ATTENTION_QUERIES,
    /// Queries in registers at once.
    BLOCK = 4,
};

/// The scratch of one call and what is known of its queries so far.
typedef struct {
    size_t dimension;
    /// [dimension][TILE].
    float *keys;
    /// [TILE][dimension].
    float *values;
    /// [QUERIES][dimension], scaled.
    float *queries;
    float *_Nonnull outputs[QUERIES];
    /// Positions that a query attends to.
    size_t counts[QUERIES];
    float highest[QUERIES];
    float denominators[QUERIES];
} attending;

// MARK: Tiles

static size_t size_of(martlet_dtype dtype) { return dtype == MARTLET_F32 ? 4 : 2; }

static __m256 load_8(martlet_dtype dtype, const void *x) {
    switch (dtype) {
    case MARTLET_F16: return _mm256_cvtph_ps(_mm_loadu_si128(x));
    case MARTLET_BF16:
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(x)), 16));
    default: return _mm256_loadu_ps(x);
    }
}

/// Keys that lie [dimension][slot]: `count` slots, to columns of `keys`.
static void copy_keys(
    martlet_dtype dtype, const char *source, size_t source_stride, size_t dimension, size_t count, float *keys) {
    const size_t whole = count / 8 * 8;
    const size_t size = size_of(dtype);
    for (size_t d = 0; d < dimension; d++, source += source_stride * size, keys += TILE) {
        for (size_t j = 0; j < whole; j += 8) _mm256_storeu_ps(keys + j, load_8(dtype, source + j * size));
        if (whole < count) martlet_widen_scalar(dtype, source + whole * size, keys + whole, count - whole);
    }
}

/// y[column][row] = x[row][column] of 8 x 8.
static void transpose_8(const float *x, size_t x_stride, float *y, size_t y_stride) {
    __m256 a[8], b[8];
    for (size_t i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(x + i * x_stride);
    for (size_t i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xEE);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xEE);
    }
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(y + i * y_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
        _mm256_storeu_ps(y + (i + 4) * y_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
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

/// Keys and values of positions first ..< first + count, block by block.
static void load_tile(const martlet_attention *a, attending *now, size_t first, size_t count) {
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
            martlet_widen_avx2(a->dtype, values + j * a->value_stride * size, target, now->dimension);
        }
        done += run;
    }
}

// MARK: Queries

/// scores[i][j] = queries[i] . keys[:, j]. `height` is a constant where this is called.
__attribute__((always_inline)) static inline void score(
    const size_t height, const attending *now, size_t query, float scores[_Nonnull BLOCK][TILE]) {
    const float *queries = now->queries + query * now->dimension;
    lanes sums[BLOCK][TILE / 16];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) memset(sums[i], 0, sizeof sums[i]);
    for (size_t d = 0; d < now->dimension; d++) {
        const lanes left = load_f32(now->keys + d * TILE), right = load_f32(now->keys + d * TILE + 16);
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height; i++) {
            const lanes q = broadcast(queries + i * now->dimension + d);
            sums[i][0] = times_plus(q, left, sums[i][0]);
            sums[i][1] = times_plus(q, right, sums[i][1]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) {
        store(scores[i], sums[i][0]);
        store(scores[i] + 16, sums[i][1]);
    }
}

/// Turns the first `count` scores of a query into weights, the others into 0; returns what its output so far is to
/// be multiplied by.
static float weigh(attending *now, size_t query, size_t count, float *scores) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 s[TILE / 8], in[TILE / 8];
    __m256 best = _mm256_set1_ps(now->highest[query]);
    for (size_t k = 0; k < TILE / 8; k++) {
        const int left = (int)count - 8 * (int)k;
        in[k] = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(left), lanes));
        s[k] = _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), _mm256_loadu_ps(scores + 8 * k), in[k]);
        // The second operand is the result where one is NaN.
        best = _mm256_max_ps(s[k], best);
    }
    const float maximum = martlet_maximum_of_8(best);
    const float rescale = martlet_exponential(now->highest[query] - maximum);
    __m256 sum = _mm256_setzero_ps();
    for (size_t k = 0; k < TILE / 8; k++) {
        const __m256 e = martlet_exponential_8(_mm256_sub_ps(s[k], _mm256_set1_ps(maximum)));
        const __m256 weights = _mm256_and_ps(e, in[k]);
        _mm256_storeu_ps(scores + 8 * k, weights);
        sum = _mm256_add_ps(sum, weights);
    }
    now->highest[query] = maximum;
    now->denominators[query] = now->denominators[query] * rescale + martlet_sum_of_8(sum);
    return rescale;
}

/// outputs[i] = outputs[i] * rescale[i] + weights[i] . values, for `count` positions and 16 dimensions from d.
__attribute__((always_inline)) static inline void accumulate(
    const size_t height, const attending *now, size_t query, size_t count, size_t d,
    float weights[_Nonnull BLOCK][TILE], const float rescale[_Nonnull BLOCK]) {
    lanes sums[BLOCK];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) {
        sums[i] = times(load_f32(now->outputs[query + i] + d), broadcast(rescale + i));
    }
    for (size_t j = 0; j < count; j++) {
        const lanes value = load_f32(now->values + j * now->dimension + d);
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height; i++) sums[i] = times_plus(broadcast(weights[i] + j), value, sums[i]);
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) store(now->outputs[query + i] + d, sums[i]);
}

/// The same for 8 dimensions and one query.
static void accumulate_8(
    const attending *now, size_t query, size_t count, size_t d, const float weights[_Nonnull TILE], float rescale) {
    float *output = now->outputs[query] + d;
    __m256 sum = _mm256_mul_ps(_mm256_loadu_ps(output), _mm256_set1_ps(rescale));
    for (size_t j = 0; j < count; j++) {
        const __m256 value = _mm256_loadu_ps(now->values + j * now->dimension + d);
        sum = _mm256_fmadd_ps(_mm256_broadcast_ss(weights + j), value, sum);
    }
    _mm256_storeu_ps(output, sum);
}

/// `height` queries from `query` on over the first `count` positions of the tile.
__attribute__((always_inline)) static inline void visit(
    const size_t height, attending *now, size_t query, size_t count) {
    float weights[BLOCK][TILE];
    float rescale[BLOCK];
    score(height, now, query, weights);
    for (size_t i = 0; i < height; i++) rescale[i] = weigh(now, query + i, count, weights[i]);
    size_t d = 0;
    for (; d + 16 <= now->dimension; d += 16) accumulate(height, now, query, count, d, weights, rescale);
    for (size_t i = 0; i < height && d < now->dimension; i++) {
        accumulate_8(now, query + i, count, d, weights[i], rescale[i]);
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
        if (counts[i] > 0) {
            switch (height) {
            case 1: visit(1, now, i, counts[i]); break;
            case 2: visit(2, now, i, counts[i]); break;
            case 3: visit(3, now, i, counts[i]); break;
            default: visit(4, now, i, counts[i]); break;
            }
        }
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
            load_tile(a, &now, at, positions - at < TILE ? positions - at : TILE);
            visit_all(&now, queries, at);
        }
        for (size_t i = 0; i < queries; i++) {
            for (size_t d = 0; d < a->dimension; d++) now.outputs[i][d] /= now.denominators[i];
        }
    }
}

#pragma clang assume_nonnull end

#endif
