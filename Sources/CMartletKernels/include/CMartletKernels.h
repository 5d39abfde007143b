/// CMartletKernels: the arithmetic of MartletCPU, one table of function pointers per instruction set.
///
/// No kernel allocates, blocks, or keeps state; none starts a thread. Pointers never alias unless the comment says
/// so. Sizes are checked by the callers. Every kernel has a twin in scalar/ that is the truth; the twins agree bit
/// for bit unless the comment of the function type states a bound.
#ifndef C_MARTLET_KERNELS_H
#define C_MARTLET_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Element types, as MartletTensor's `DType`, in its order. Quantised blocks are those of MODEL.md 8.4.
typedef enum martlet_dtype {
    MARTLET_F32,
    MARTLET_F16,
    MARTLET_BF16,
    MARTLET_Q4_0,
    MARTLET_Q4_1,
    MARTLET_Q5_0,
    MARTLET_Q5_1,
    MARTLET_Q8_0,
    MARTLET_Q4_K,
    MARTLET_Q5_K,
    MARTLET_Q6_K,
} martlet_dtype;

// MARK: Conversion

/// y[i] = x[i] as f32, exactly; x is of a plain type (f32, f16, bf16), of any alignment.
typedef void martlet_widen_fn(martlet_dtype dtype, const void *x, float *y, size_t count);

/// y[i] = x[i] rounded to the nearest, ties to even, of a plain type. False if a finite value became infinite.
typedef bool martlet_narrow_fn(martlet_dtype dtype, const float *x, void *y, size_t count);

/// Stores f32 weights as blocks of Q4_0 or Q8_0 (MODEL.md 8.4); count: whole blocks of 32. False if a value is not
/// finite, or so large that its block has no scale as a half. A scale s is rounded to a half, then each quant is
/// x * (1 / s) rounded to even and clamped. Q8_0: s is the greatest magnitude / 127. Q4_0: s has the least squared
/// error among nine that scalar/quantization.c tries.
typedef bool martlet_quantize_blocks_fn(martlet_dtype dtype, const float *x, void *y, size_t count);

// MARK: Panels

/// Rows of a weight matrix that are packed, multiplied and sharded together.
enum { MARTLET_PANEL_ROWS = 16 };

/// Name and version of the order of bytes in a panel, as files of ready-packed weights state it: whoever changes what
/// `pack_panel` does changes it.
static const char martlet_panel_layout[] = "panel16x4.1";

/// A packed matrix [rows, columns]: ceil(rows / 16) panels one after the other. A panel is the blocks of its 16 rows
/// interleaved: for each block along the columns, for each field of the block, for each item of the field, the 16
/// rows' items; bytes of quants count as items of four. So plain types lie as [column][16], bytes of quants as
/// [byte / 4][16][4]. Rows past the last are zero bytes.
typedef struct martlet_matrix {
    const void *panels;
    size_t rows;
    size_t columns;
    martlet_dtype dtype;
} martlet_matrix;

/// Packs `rows` (1 through 16) rows of `columns` (whole blocks), `stride` bytes apart, into one panel: a pure
/// permutation of bytes, the missing rows zero.
typedef void martlet_pack_panel_fn(
    martlet_dtype dtype, const void *source, size_t stride, size_t rows, size_t columns, void *panel);

/// Columns [first, first + count) of a panel as f32, exactly the values of MODEL.md 8.4; tile: [count][16], aligned to
/// 32 bytes. For quantised types both are multiples of 32.
typedef void martlet_unpack_panel_fn(
    martlet_dtype dtype, const void *panel, size_t first, size_t count, float *tile);

/// y = row `row` of w as f32; y: [columns].
typedef void martlet_unpack_row_fn(const martlet_matrix *w, size_t row, float *y);

// MARK: Products

/// y = x W^T + bias for the matrix rows of panels [first, last); x: [rows, columns], rows `x_stride` apart; y: rows
/// `stride` apart, its column 0 being row 0 of w. Each y is one chain of fused multiply-adds from zero over ascending
/// columns, then one addition of the bias, whatever the number of rows and panels (D5).
typedef void martlet_multiply_fn(
    const martlet_matrix *w, size_t first, size_t last, const float *x, size_t x_stride, size_t rows,
    const float *_Nullable bias, float *y, size_t stride);

/// Activations of 8 bits for products with quantised weights (D7). Columns come in groups of 32 (Q6_K: 16, with the
/// scale of their 32). A row lies as int8 quants [columns], f32 scales [columns / 32], sums of every 32 quants and sums
/// of the first 16 of each, both f32 [columns / 32]: whole numbers.
static inline size_t martlet_int8_row_bytes(size_t columns) { return columns + columns / 32 * 12; }

/// Rows of 8-bit activations, one after the other; columns: a multiple of 32. The scale of a group is its greatest
/// magnitude / 127, a quant is x * (127 / magnitude) rounded to even; a group that holds an infinity or a NaN has the
/// scale NaN and quants 0.
typedef void martlet_quantize_rows_fn(const float *x, size_t stride, size_t rows, size_t columns, void *packed);

/// `multiply` with a quantised w and x packed by `quantize_rows`. Each y is one chain from zero over ascending groups:
/// the group's sum of products as an exact integer, a fused multiply-add with (scale of w * scale of x), and for types
/// with a minimum another of (minimum * scale of x) with the sum of x; then one addition of the bias.
typedef void martlet_multiply_int8_fn(
    const martlet_matrix *w, size_t first, size_t last, const void *packed, size_t rows, const float *_Nullable bias,
    float *y, size_t stride);

/// From one row of activations of bf16 to the next, in elements: never so that the rows of a block meet in one set of
/// a cache.
static inline size_t martlet_bf16_row_stride(size_t columns) { return columns + 32; }

/// `multiply` with w of bf16 and x rounded to bf16 by `narrow`, rows `martlet_bf16_row_stride` apart; columns: even.
/// Each y is one chain of fused multiply-adds from zero over ascending pairs of columns, in a pair the second before
/// the first, then one addition of the bias. Numbers and sums below 2^-126 count as zero.
typedef void martlet_multiply_bf16_fn(
    const martlet_matrix *w, size_t first, size_t last, const uint16_t *x, size_t rows, const float *_Nullable bias,
    float *y, size_t stride);

// MARK: Norms and activations

/// y = x / sqrt(mean(x^2) + epsilon) * weight, row by row of [rows, width]; y may be x.
typedef void martlet_rms_norm_fn(
    const float *x, size_t x_stride, const float *weight, float epsilon, float *y, size_t y_stride, size_t rows,
    size_t width);

/// x += rms_norm(y).
typedef void martlet_add_rms_norm_fn(
    const float *y, size_t y_stride, const float *weight, float epsilon, float *x, size_t x_stride, size_t rows,
    size_t width);

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias; y may be x.
typedef void martlet_layer_norm_fn(
    const float *x, size_t x_stride, const float *weight, const float *bias, float epsilon, float *y, size_t y_stride,
    size_t rows, size_t width);

/// y[i] = silu(x[i]) * x[width + i]; x: [rows, 2 * width], y: [rows, width].
typedef void martlet_silu_multiply_fn(
    const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t width);

/// Exact (erf) GELU in place, x: [rows, width]; rounded once from the C library's double erfc.
typedef void martlet_gelu_fn(float *x, size_t stride, size_t rows, size_t width);

// MARK: Rotary embedding

/// Where the angles of a rotary table come from: frequency j turns by positions[axis[j]] * inverse_frequency[j].
typedef struct martlet_rotary {
    /// Per axis (T, H, W) one position a row.
    const int32_t *_Nonnull positions[3];
    /// [pairs] each.
    const int32_t *axis;
    const float *inverse_frequency;
    size_t pairs;
} martlet_rotary;

/// table[row] = [cos of every pair | sin of every pair]. The angle is rounded to f32; cos and sin are the C
/// library's of that in double, rounded once.
typedef void martlet_rotary_table_fn(const martlet_rotary *rotary, float *table, size_t stride, size_t rows);

/// Rotates `heads` heads of `dimension` at the start of each row, in place: pairs (2j, 2j+1) if interleaved, else
/// (j, j + pairs). a' = a cos - b sin, b' = b cos + a sin, every operation rounded.
typedef void martlet_rotate_fn(
    float *x, size_t stride, size_t heads, size_t dimension, const float *table, size_t table_stride, size_t pairs,
    bool interleaved, size_t rows);

/// y[i * stride] = x[i] as `dtype` (f32, f16, bf16), rounded to the nearest; the stride counts elements.
typedef void martlet_store_fn(martlet_dtype dtype, const float *x, void *y, size_t stride, size_t count);

/// y[i * stride] = x[i] in 8 bits; returns their scale: the greatest magnitude / 127. A quant is x * (127 / magnitude)
/// rounded to even, as in `quantize_rows`; an infinity or a NaN among x gives the scale NaN and quants 0.
typedef float martlet_store_int8_fn(const float *x, int8_t *y, size_t stride, size_t count);

// MARK: Attention

/// Positions of a tile of streaming softmax; tiles begin at position 0 (D5).
enum { MARTLET_ATTENTION_TILE = 32 };

/// Queries whose running maxima, sums and scaled copies a kernel keeps at once.
enum { MARTLET_ATTENTION_QUERIES = 128 };

/// Attention of `heads` query heads, which share one key/value head, of `rows` consecutive rows. Row r attends to
/// positions 0 ..< positions + (causal ? r : 0); no later one has any effect.
typedef struct martlet_attention {
    /// The first query head of the first row; heads are `dimension` apart, rows `query_stride`.
    const float *queries;
    size_t query_stride;
    float *output;
    size_t output_stride;
    size_t rows;
    size_t heads;
    size_t dimension;
    size_t positions;
    bool causal;
    /// Scores are (query * scale) . key.
    float scale;
    /// Element type of keys and values: f32, f16, bf16, or Q8_0, which here are signed bytes with scales of their own.
    martlet_dtype dtype;
    /// The key and the value at slot 0 of block 0. Position p lies in slot p % block_size of block
    /// blocks[p / block_size]; blocks are `block_bytes` apart.
    const void *keys;
    const void *values;
    const int32_t *blocks;
    size_t block_size;
    size_t block_bytes;
    /// In elements: between slots, and between dimensions of one key; dimensions of a value are adjacent. One of
    /// the key's two strides is 1.
    size_t key_stride;
    size_t key_dimension_stride;
    size_t value_stride;
    /// For bytes: the scales of the key and the value at slot 0 of block 0. Those of a block are adjacent.
    const float *_Nullable key_scales;
    const float *_Nullable value_scales;
} martlet_attention;

/// Streaming softmax. A score is one chain of fused multiply-adds over the dimensions; the weights of a tile are
/// summed in 8 lanes (j % 8), then by halves; an output is one chain over the positions, rescaled once a tile. So a
/// row's bits depend on its own query and positions only. Of bytes, a score is its chain times the scale of the key,
/// and a weight, once it is summed, is multiplied by the scale of the value.
/// scratch: `martlet_attention_scratch(dimension)` floats.
typedef void martlet_attention_fn(const martlet_attention *attention, float *scratch);

/// Floats of scratch for heads of `dimension`.
static inline size_t martlet_attention_scratch(size_t dimension) {
    return dimension * (2 * MARTLET_ATTENTION_TILE + MARTLET_ATTENTION_QUERIES);
}

/// Attention of one head with everything rounded to bf16 that is multiplied: where rows attend to all positions, as in
/// a vision tower.
typedef struct martlet_short_attention {
    /// [rows, dimension], rows `query_stride` apart; dimension: a multiple of 16.
    const float *queries;
    size_t query_stride;
    float *output;
    size_t output_stride;
    size_t rows;
    size_t dimension;
    size_t positions;
    /// Scores are (query * scale) . key.
    float scale;
    /// Tiles of keys and values by `pack_tile`, one after the other.
    const uint16_t *tiles;
} martlet_short_attention;

enum {
    /// Positions of a tile.
    MARTLET_SHORT_TILE = 64,
    /// Rows whose maxima, sums and rounded copies a kernel keeps at once.
    MARTLET_SHORT_QUERIES = 96,
};

/// Elements of a tile.
static inline size_t martlet_short_tile(size_t dimension) { return 2 * MARTLET_SHORT_TILE * dimension; }

/// Keys and values of `count` positions (1 through 64), rows `stride` apart, as bf16: keys as a matrix [64, dimension],
/// then values as one [dimension, 64], both in panels; zero past the last position.
typedef void martlet_pack_tile_fn(
    const float *keys, const float *values, size_t stride, size_t count, size_t dimension, uint16_t *tile);

/// Streaming softmax over tiles of 64. Scores and outputs are sums of products as those of `multiply_bf16`, in pairs of
/// dimensions and of positions; a tile's weights are rounded, then summed in 16 lanes (j % 16) and by halves. Numbers
/// below 2^-126 count as zero. scratch: `martlet_short_scratch(dimension)` elements.
typedef void martlet_short_attention_fn(const martlet_short_attention *attention, uint16_t *scratch);

/// Elements of scratch for heads of `dimension`.
static inline size_t martlet_short_scratch(size_t dimension) {
    return MARTLET_SHORT_QUERIES * martlet_bf16_row_stride(dimension);
}

// MARK: Vision

/// Pixels and what the patch embedding makes of them.
typedef struct martlet_image {
    /// [height, width, 3].
    const uint8_t *rgb;
    size_t width;
    /// levels[256 * channel + byte]: the normalised value of a byte.
    const float *levels;
    size_t patch_size;
    size_t merge_size;
    /// Equal frames of a patch.
    size_t frames;
} martlet_image;

/// y = patch vectors [count, 3 * frames * patch_size^2] of the patches from `first` on, in block order.
typedef void martlet_extract_patches_fn(
    const martlet_image *image, size_t first, size_t count, float *y, size_t stride);

/// A learned table of positions and the grid it is stretched over.
typedef struct martlet_position_grid {
    /// [side * side, width].
    const float *table;
    size_t side;
    size_t width;
    size_t rows;
    size_t columns;
    size_t merge_size;
} martlet_position_grid;

/// x += the table sampled bicubically (a = -0.75, clamped; MODEL.md 2.1.3) at the patches from `first` on, in block
/// order; x: [count, width].
typedef void martlet_add_positions_fn(
    const martlet_position_grid *grid, size_t first, size_t count, float *x, size_t stride);

// MARK: Choice

/// The weight of the most probable token: probabilities are counted in units of 2^-40 of it, so that sums of them
/// are exact in any order.
static const uint64_t martlet_weight_one = 1ull << 40;

/// Philox4x32-10: the counter-based generator of Salmon et al. 2011.
typedef void martlet_philox_fn(const uint32_t counter[_Nonnull 4], const uint32_t key[_Nonnull 2],
    uint32_t random[_Nonnull 4]);

/// The largest of x, -inf if there is none; false if x holds a NaN.
typedef bool martlet_maximum_fn(const float *x, size_t count, float *maximum);

/// The first index where x equals `value`; count if there is none.
typedef size_t martlet_first_fn(const float *x, size_t count, float value);

/// weights[i] = e^((x[i] - maximum) / temperature) in units of 2^-40, ties to even; returns their sum.
/// x <= maximum, count < 2^23. `weights` NULL: the sum only.
typedef uint64_t martlet_weigh_fn(
    const float *x, size_t count, float maximum, float temperature, uint64_t *_Nullable weights);

/// ids = the `wanted` largest of x, best first, the lower id first among equals; wanted <= count.
typedef void martlet_top_fn(const float *x, size_t count, size_t wanted, uint32_t *ids);

/// Clears weights below `least`; returns the sum of the rest.
typedef uint64_t martlet_keep_above_fn(size_t count, uint64_t least, uint64_t *weights);

/// Orders tokens by x, the lower id first among equals, and clears all past the shortest run from the best whose
/// weights sum to `wanted` (by mass) or that counts `wanted` (else), ignoring tokens of weight 0; wanted > 0.
/// Returns the sum of the rest.
typedef uint64_t martlet_keep_best_fn(
    const float *x, size_t count, bool by_mass, uint64_t wanted, uint64_t *weights);

/// The first id where the running sum of weights exceeds `target`; count if none does.
typedef size_t martlet_choose_fn(size_t count, const uint64_t *weights, uint64_t target);

/// x[i] += y[i].
typedef void martlet_add_fn(const float *y, float *x, size_t count);

// MARK: Table

/// The kernels of one instruction set.
typedef struct martlet_kernel_table {
    /// "scalar", "avx2", "avxvnni", "avx512", "avx512bf16", "neon".
    const char *name;

    // Conversion, panels, products.
    martlet_widen_fn *widen;
    martlet_narrow_fn *narrow;
    martlet_quantize_blocks_fn *quantize_blocks;
    martlet_pack_panel_fn *pack_panel;
    martlet_unpack_panel_fn *unpack_panel;
    martlet_unpack_row_fn *unpack_row;
    martlet_multiply_fn *multiply;
    martlet_quantize_rows_fn *quantize_rows;
    martlet_multiply_int8_fn *multiply_int8;
    martlet_multiply_bf16_fn *multiply_bf16;
    martlet_add_fn *add;

    // Norms, activations, rotary embedding.
    martlet_rms_norm_fn *rms_norm;
    martlet_add_rms_norm_fn *add_rms_norm;
    martlet_layer_norm_fn *layer_norm;
    martlet_silu_multiply_fn *silu_multiply;
    martlet_gelu_fn *gelu;
    martlet_rotary_table_fn *rotary_table;
    martlet_rotate_fn *rotate;
    martlet_store_fn *store;
    martlet_store_int8_fn *store_int8;

    // Attention, vision.
    martlet_attention_fn *attention;
    martlet_pack_tile_fn *pack_tile;
    martlet_short_attention_fn *short_attention;
    martlet_extract_patches_fn *extract_patches;
    martlet_add_positions_fn *add_positions;

    // Choice.
    martlet_philox_fn *philox;
    martlet_maximum_fn *maximum;
    martlet_first_fn *first;
    martlet_weigh_fn *weigh;
    martlet_top_fn *top;
    martlet_keep_above_fn *keep_above;
    martlet_keep_best_fn *keep_best;
    martlet_choose_fn *choose;
} martlet_kernel_table;

/// The best table this CPU and operating system can run, or the one named; NULL if there is none of that name here.
const martlet_kernel_table *_Nullable martlet_kernels(const char *_Nullable forced);

/// Names of the tables that can run here, best first; NULL past the last.
const char *_Nullable martlet_kernels_name(size_t index);

/// The processors that this thread may use, ascending, as far as `capacity` goes; how many were written. 0 where the
/// system doesn't say.
size_t martlet_allowed_processors(int *processors, size_t capacity);

/// Keeps the calling thread on these processors; false where the system has no such thing, or refuses.
bool martlet_pin_thread(const int *processors, size_t count);

/// Tells the core that this thread spins.
static inline void martlet_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#pragma clang assume_nonnull end

#endif
