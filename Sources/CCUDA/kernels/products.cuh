// Matrix products of few rows, y = x W^T + bias, and weights as operands for the products of many.
//
// A decode step reads every weight once, so `multiply` has to keep the memory busy: each lane has 128 bytes of weights
// in flight before it uses the first (64 of formats whose scales take more registers), 16 at a time. The tensor cores
// do the sums from the first row on: eight rows cost no more than one, and no output depends on how many rows there
// are. An output is the sum of eight parts, one a warp, in their order; a part is that of every eighth strip of 128
// columns, ascending. A group's sum is of exact products, rounded as the tensor cores do, then scaled in f32: within
// 1e-6 of the sum of the magnitudes of all terms. `multiply_plain` takes any shape, and f32.
//
// Counted for an output of 4096 columns: weights 8192 bytes (bf16), 4352 (q8_0), 2304 (q4_0); 8192 FLOP a row.
#ifndef MARTLET_PRODUCTS_CUH
#define MARTLET_PRODUCTS_CUH

#include "eight_bits.cuh"
#include "fragments.cuh"
#include "silu.cuh"

constexpr i32 product_warps = 8;

/// Stores one output.
template <class T>
DEVICE void store_output(void *y, i64 place, float sum, const float *bias, i32 output, i32 is_operand) {
    const float value = bias ? sum + bias[output] : sum;
    if (is_operand) {
        ((T *)y)[place] = narrow<T>(value);
    } else {
        ((float *)y)[place] = value;
    }
}

/// Adds the products of one group with N times 8 rows of activations; x[n]: this lane's row of each 8, `column`: its
/// first of the group, a: both fragments of M times 16 outputs.
template <class F, class T, i32 M, i32 N>
DEVICE void add_group(
    float sums[M][N][4], const u32 a[M][2][4], const group shared[M][2], const T *const x[N],
    i32 column) {
    constexpr u32 one = whole_numbers<T>::one;
    const u32 all_ones[4] = {one, one, one, one};
#pragma unroll
    for (i32 n = 0; n < N; n++) {
        u32 b[2][2];
        load_activations<F>(x[n], column, b);
        float total[4] = {};
        if constexpr (!strip<F>::is_plain) {
            if constexpr (F::has_minimum) {
                mma_16x8x16<T>(total, all_ones, b[0]);
                mma_16x8x16<T>(total, all_ones, b[1]);
            }
        }
#pragma unroll
        for (i32 m = 0; m < M; m++) {
            if constexpr (strip<F>::is_plain) {
                mma_16x8x16<T>(sums[m][n], a[m][0], b[0]);
                mma_16x8x16<T>(sums[m][n], a[m][1], b[1]);
            } else {
                float first[4] = {}, second[4] = {};
                mma_16x8x16<T>(first, a[m][0], b[0]);
                mma_16x8x16<T>(strip<F>::has_halves ? second : first, a[m][1], b[1]);
#pragma unroll
                for (i32 i = 0; i < 4; i++) {
                    const group &scale = shared[m][i / 2];
                    sums[m][n][i] = fmaf(scale.scale, first[i], sums[m][n][i]);
                    if (strip<F>::has_halves) sums[m][n][i] = fmaf(scale.minimum, second[i], sums[m][n][i]);
                    if (F::has_minimum) sums[m][n][i] = fmaf(scale.minimum, total[i], sums[m][n][i]);
                }
            }
        }
    }
}

/// Adds the products of one strip of M times 16 outputs; w: of rows g and g + 8 of each 16.
template <class F, class T, i32 M, i32 N>
DEVICE void add_strip(
    float sums[M][N][4], strip<F> w[M][2], const T *const x[N], i32 first_column, i32 columns) {
#pragma unroll
    for (i32 m = 0; m < M; m++) {
        w[m][0].transpose();
        w[m][1].transpose();
    }
#pragma unroll
    for (i32 j = 0; j < 4; j++) {
        u32 a[M][2][4];
        group shared[M][2];
#pragma unroll
        for (i32 m = 0; m < M; m++) {
#pragma unroll
            for (i32 h = 0; h < 2; h++) {
                if constexpr (strip<F>::is_plain) {
                    const vec4 &words = w[m][h].words[j];
                    a[m][0][h] = words.x, a[m][0][2 + h] = words.y;
                    a[m][1][h] = words.z, a[m][1][2 + h] = words.w;
                } else {
                    shared[m][h] = w[m][h].group_of(j);
#pragma unroll
                    for (i32 i = 0; i < 2; i++) {
                        u32 pairs[2];
                        expand<T, F::zero>(w[m][h].quants_of(j, i), pairs);
                        a[m][i][h] = pairs[0], a[m][i][2 + h] = pairs[1];
                    }
                }
            }
        }
        // Past the last column weights are zeros: any activations will do.
        const i32 column = first_column + 32 * j + lane() % 4 * (strip<F>::is_plain ? 8 : 4);
        add_group<F, T, M, N>(sums, a, shared, x, column < columns ? column : 0);
    }
}

/// Each warp's part of the sums of M times 16 outputs and N times 8 rows, into its place among `parts`; outputs[i]: the
/// row of w that this lane reads of each 8, x[n]: its row of each 8. All threads see `parts` afterwards.
template <class F, class T, i32 M, i32 N>
DEVICE void sum_strips(
    const planes<F> &w, const i32 outputs[2 * M], const T *const x[N], float (*parts)[M * N * 4][32]) {
    // Strips that are read before the first is used.
    constexpr i32 depth = N > 1 || strip<F>::depth < M ? 1 : strip<F>::depth / M;
    float sums[M][N][4] = {};
    for (i32 index = warp(); index * strip_columns < w.columns; index += product_warps * depth) {
        strip<F> strips[depth][M][2];
#pragma unroll
        for (i32 d = 0; d < depth; d++) {
#pragma unroll
            for (i32 i = 0; i < 2 * M; i++) strips[d][i / 2][i % 2].load(w, outputs[i], index + product_warps * d);
        }
#pragma unroll
        for (i32 d = 0; d < depth; d++) {
            const i32 first_column = (index + product_warps * d) * strip_columns;
            add_strip<F, T, M, N>(sums, strips[d], x, first_column, w.columns);
        }
    }
#pragma unroll
    for (i32 i = 0; i < M * N * 4; i++) parts[warp()][i][lane()] = sums[i / (4 * N)][i / 4 % N][i % 4];
    sync_block();
}

/// Sum `i` of this lane's.
template <i32 COUNT> DEVICE float joined(const float (*parts)[COUNT][32], i32 i) {
    float sum = 0;
#pragma unroll
    for (i32 part = 0; part < product_warps; part++) sum += parts[part][i][lane()];
    return sum;
}

/// y = x W^T + bias for R rows a block; w: [outputs, columns] of format F, x: [rows, columns], y: [rows, outputs] of T
/// or f32. columns, x_stride: multiples of 8; x: at a multiple of 16 bytes. Grid
/// [rows / R, outputs / 16 (R > 16: / 32)], rounded up: neighbours share weights.
template <class F, class T, i32 R>
DEVICE void multiply(
    const void *w, i32 outputs, i32 columns, const T *x, i32 x_stride, i32 rows, const float *bias, void *y,
    i32 y_stride, i32 y_is_operand) {
    constexpr i32 N = R / 8, M = R > 16 ? 2 : 1;
    SHARED(float, parts, [product_warps][M * N * 4][32]);
    const i32 first_output = i32(blockIdx.y) * 16 * M, first_row = i32(blockIdx.x) * R;
    // Past the last output and row any will do: their sums are not stored.
    const T *sources[N];
    i32 own[2 * M];
#pragma unroll
    for (i32 n = 0; n < N; n++) sources[n] = x + i64(min(first_row + 8 * n + lane() / 4, rows - 1)) * x_stride;
#pragma unroll
    for (i32 i = 0; i < 2 * M; i++) own[i] = min(first_output + 8 * i + lane() / 4, outputs - 1);
    sum_strips<F, T, M, N>(planes<F>(w, outputs, columns), own, sources, parts);
    for (i32 i = warp(); i < M * N * 4; i += product_warps) {
        const i32 output = first_output + 16 * (i / (4 * N)) + 8 * (i % 4 / 2) + lane() / 4;
        const i32 row = first_row + 8 * (i / 4 % N) + 2 * (lane() % 4) + i % 2;
        if (output < outputs && row < rows) {
            const float sum = joined<M * N * 4>(parts, i);
            store_output<T>(y, i64(row) * y_stride + output, sum, bias, output, y_is_operand);
        }
    }
}

/// y = silu(gate) * up with [gate | up] = x W^T, eight rows a block; w: [2 * outputs, columns] gate then up, y: [rows,
/// outputs]; the rest as `multiply`, and bits as its sums'. Grid [rows / 8, outputs / 16], rounded up.
template <class F, class T>
DEVICE void multiply_gated(
    const void *w, i32 outputs, i32 columns, const T *x, i32 x_stride, i32 rows, T *y, i32 y_stride) {
    SHARED(float, parts, [product_warps][8][32]);
    const i32 first_output = i32(blockIdx.y) * 16, first_row = i32(blockIdx.x) * 8;
    const T *const source[1] = {x + i64(min(first_row + lane() / 4, rows - 1)) * x_stride};
    const i32 gate = min(first_output + lane() / 4, outputs - 1), next = min(gate + 8, outputs - 1);
    const i32 own[4] = {gate, next, outputs + gate, outputs + next};
    sum_strips<F, T, 2, 1>(planes<F>(w, 2 * outputs, columns), own, source, parts);
    if (warp() >= 4) return;
    const i32 output = first_output + 8 * (warp() / 2) + lane() / 4;
    const i32 row = first_row + 2 * (lane() % 4) + warp() % 2;
    if (output < outputs && row < rows) {
        const float sum = joined<8>(parts, warp()), up = joined<8>(parts, warp() + 4);
        y[i64(row) * y_stride + output] = narrow<T>(silu(sum) * up);
    }
}

/// The same for any shape and alignment, eight rows a block, a warp an output: each lane adds up eight columns of every
/// 256 by fused multiply-adds, ascending, and `warp_sum` joins the lanes. Grid [rows / 8, outputs / 8], rounded up.
template <class F, class T>
DEVICE void multiply_plain(
    const void *w, i32 outputs, i32 columns, const T *x, i32 x_stride, i32 rows, const float *bias, void *y,
    i32 y_stride, i32 y_is_operand) {
    const planes<F> weights(w, outputs, columns);
    const i32 output = i32(blockIdx.y) * product_warps + warp(), first_row = i32(blockIdx.x) * 8;
    if (output >= outputs) return;
    float sums[8] = {};
    for (i32 column = 8 * lane(); column < columns; column += 256) {
        float values[8];
        weights.read(output, column, values);
#pragma unroll
        for (i32 row = 0; row < 8; row++) {
            const T *source = x + i64(first_row + row) * x_stride + column;
#pragma unroll
            for (i32 k = 0; k < 8; k++) {
                const bool is_inside = first_row + row < rows && column + k < columns;
                sums[row] = fmaf(is_inside ? widen(source[k]) : 0, values[k], sums[row]);
            }
        }
    }
#pragma unroll
    for (i32 row = 0; row < 8; row++) {
        const float sum = warp_sum(sums[row]);
        if (lane() == row && first_row + row < rows) {
            store_output<T>(y, i64(first_row + row) * y_stride + output, sum, bias, output, y_is_operand);
        }
    }
}

/// y = rows from `first` on of w as T, dense [count, columns]; columns: a multiple of 8, y at one of 16 bytes. Grid
/// [count].
template <class F, class T> DEVICE void dequantize(const void *w, i32 outputs, i32 columns, i32 first, T *y) {
    const planes<F> weights(w, outputs, columns);
    y += i64(blockIdx.x) * columns;
    for (i32 column = 8 * i32(threadIdx.x); column < columns; column += 8 * i32(blockDim.x)) {
        float values[8];
        weights.read(first + i32(blockIdx.x), column, values);
        if constexpr (sizeof(T) == 4) {
            for (i32 k = 0; k < 8; k++) y[column + k] = values[k];
        } else {
            *(vec4 *)(y + column) = vec4{
                narrow2<T>(values[0], values[1]), narrow2<T>(values[2], values[3]), narrow2<T>(values[4], values[5]),
                narrow2<T>(values[6], values[7])};
        }
    }
}

#define PLAIN_PRODUCT(F, T) KERNEL(multiply_plain_##F##_##T, RESIDENT(256, 2), 10, multiply_plain<F, T>)
#define DEQUANTIZATION(F, T) KERNEL(dequantize_##F##_##T, 256, 5, dequantize<F, T>)
#define PRODUCTS(F, T)                                                                       \
    KERNEL(multiply_##F##_##T##_8, RESIDENT(256, strip<F>::resident), 10, multiply<F, T, 8>) \
    KERNEL(multiply_##F##_##T##_32, 256, 10, multiply<F, T, 32>)                             \
    KERNEL(multiply_gated_##F##_##T, RESIDENT(256, 2), 8, multiply_gated<F, T>)
#define QUANTIZED_PRODUCTS(F) \
    PRODUCTS(F, f16)          \
    PRODUCTS(F, bf16)         \
    PLAIN_PRODUCT(F, f16)     \
    PLAIN_PRODUCT(F, bf16)    \
    PLAIN_PRODUCT(F, f32)     \
    DEQUANTIZATION(F, f16)    \
    DEQUANTIZATION(F, bf16)   \
    DEQUANTIZATION(F, f32)    \
    EIGHT_BITS(F)

#endif
