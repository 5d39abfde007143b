// Rows of tables: embeddings, and rows that move. A block a row.
#include "blocks.cuh"

/// y[i] = row tokens[i] - first_row of table [outputs, columns], zeros where the table has no such row: another rank's
/// has it. A token below 0 is the one that the sampler has kept at -1 - token. y: [rows, columns], grid [rows].
template <class F>
DEVICE void embed(
    const i32 *tokens, const i32 *kept, i32 first_row, i32 outputs, const void *table, i32 columns, float *y,
    i32 stride) {
    const planes<F> rows(table, outputs, columns);
    const i32 token = tokens[blockIdx.x];
    const i32 row = (token < 0 ? kept[-1 - token] : token) - first_row;
    y += i64(blockIdx.x) * stride;
    for (i32 i = 8 * i32(threadIdx.x); i < columns; i += 8 * i32(blockDim.x)) {
        float values[8] = {};
        if (row >= 0 && row < outputs) rows.read(row, i, values);
        for (i32 k = 0; k < 8 && i + k < columns; k++) y[i + k] = values[k];
    }
}

/// y[targets[i]] = x[sources[i]]; rows of `width`, grid [rows that move].
DEVICE void copy_rows(
    const i32 *sources, const i32 *targets, const float *x, i32 x_stride, float *y, i32 y_stride, i32 width) {
    x += i64(sources[blockIdx.x]) * x_stride;
    y += i64(targets[blockIdx.x]) * y_stride;
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) y[i] = x[i];
}

#define EMBEDDING(F) KERNEL(embed_##F, 256, 8, embed<F>)

EMBEDDING(f32)
EMBEDDING(f16)
EMBEDDING(bf16)
EMBEDDING(q4_0)
EMBEDDING(q4_1)
EMBEDDING(q5_0)
EMBEDDING(q5_1)
EMBEDDING(q8_0)
EMBEDDING(q4_K)
EMBEDDING(q5_K)
EMBEDDING(q6_K)
KERNEL(copy_rows, 256, 7, copy_rows)
