// Attention of many queries: a block of four warps takes tiles of 32 positions through shared memory, the next while it
// computes with one, and each warp multiplies them with 16 or 32 queries of its own.
#ifndef MARTLET_TILED_ATTENTION_CUH
#define MARTLET_TILED_ATTENTION_CUH

#include "query_limits.cuh"
#include "softmax.cuh"
#include "tile_source.cuh"

/// T: f16 or bf16; D: dimension, 16 to 128; STRIPS: how many times 16 queries a warp has.
template <class T, i32 D, i32 STRIPS> struct tiled_attention {
    using layout = tile_layout<D>;
    static constexpr i32 WARPS = 4, TILE = layout::TILE;
    static constexpr i32 QUERIES = 16 * STRIPS * WARPS;
    static constexpr u32 ROW_BYTES = layout::ROW_BYTES, TILE_BYTES = layout::TILE_BYTES;
    /// Keys and values of two tiles.
    static constexpr u32 SHARED_BYTES = 4 * TILE_BYTES;

    u32 queries[STRIPS][D / 16][4];
    float sums[STRIPS][D / 8][4];
    softmax_state softmax[STRIPS];

    /// The first of a lane's two queries in a strip; the other is 8 further.
    static DEVICE i32 query(i32 strip) { return (warp() * STRIPS + strip) * 16 + lane() / 4; }

    /// `start(i)`: where query i begins, null for one that is not there.
    template <class Start> DEVICE void load_queries(const Start &start) {
#pragma unroll
        for (i32 strip = 0; strip < STRIPS; strip++) {
            softmax[strip].begin();
#pragma unroll
            for (i32 half = 0; half < 2; half++) {
                const u32 *words = (const u32 *)start(query(strip) + 8 * half);
#pragma unroll
                for (i32 step = 0; step < D / 16; step++) {
                    queries[strip][step][half] = words ? words[step * 8 + lane() % 4] : 0;
                    queries[strip][step][half + 2] = words ? words[step * 8 + lane() % 4 + 4] : 0;
                }
            }
#pragma unroll
            for (i32 i = 0; i < D / 8; i++) {
                for (i32 j = 0; j < 4; j++) sums[strip][i][j] = 0;
            }
        }
    }

    DEVICE void score(const u8 *tiles, u32 keys, float (&scores)[STRIPS][TILE / 8][4]) const {
        const u32 origin = keys + layout::place(lane() / 16 * 8 + lane() % 8, lane() / 8 % 2);
#pragma unroll
        for (i32 step = 0; step < D / 16; step++) {
#pragma unroll
            for (i32 pair = 0; pair < TILE / 16; pair++) {
                u32 factor[4];
                load_matrix_4(factor, tiles + (origin ^ step * 32) + pair * 16 * ROW_BYTES);
#pragma unroll
                for (i32 strip = 0; strip < STRIPS; strip++) {
                    mma_16x8x16<T>(scores[strip][2 * pair], queries[strip][step], factor);
                    mma_16x8x16<T>(scores[strip][2 * pair + 1], queries[strip][step], factor + 2);
                }
            }
        }
    }

    /// Values of 16 positions from 16 * step of a tile on, 16 dimensions from 16 * pair on.
    static DEVICE void load_values(const u8 *tiles, u32 values, i32 step, i32 pair, u32 factor[4]) {
        const u32 origin = values + layout::place(lane() % 16, lane() / 16);
        load_matrix_4_transposed(factor, tiles + (origin ^ pair * 32) + step * 16 * ROW_BYTES);
    }

    /// sums += weights values for positions 16 * step to 16 * step + 15 of a tile.
    DEVICE void multiply(const u8 *tiles, u32 values, i32 step, const u32 (&weights)[STRIPS][4]) {
#pragma unroll
        for (i32 pair = 0; pair < D / 16; pair++) {
            u32 factor[4];
            load_values(tiles, values, step, pair, factor);
#pragma unroll
            for (i32 strip = 0; strip < STRIPS; strip++) {
                mma_16x8x16<T>(sums[strip][2 * pair], weights[strip], factor);
                mma_16x8x16<T>(sums[strip][2 * pair + 1], weights[strip], factor + 2);
            }
        }
    }

    /// The same where some query has a limit among these positions; `first`: of the tile.
    template <class Limits>
    DEVICE void multiply_to_limits(
        const u8 *tiles, u32 values, i32 first, i32 step, const u32 (&weights)[STRIPS][4], const Limits &limits) {
        i32 own[STRIPS][2];
#pragma unroll
        for (i32 i = 0; i < 2 * STRIPS; i++) own[i / 2][i % 2] = limits.of(query(i / 2) + 8 * (i % 2));
        const i32 highest = limits.of((warp() + 1) * 16 * STRIPS - 1);
        for (i32 limit = limits.lowest; limit <= highest; limit++) {
#pragma unroll
            for (i32 pair = 0; pair < D / 16; pair++) {
                u32 factor[4];
                load_values(tiles, values, step, pair, factor);
#pragma unroll
                for (i32 i = 0; i < 2 * STRIPS; i++) {
                    add_to_limit<T>(
                        sums[i / 2][2 * pair + i % 2], weights[i / 2], factor + 2 * (i % 2), 1, first + step * 16,
                        limit, own[i / 2]);
                }
            }
        }
    }

    /// Adds the tile from position `first` on.
    template <class Limits>
    DEVICE void add(const u8 *tiles, u32 tile, i32 first, float scale, const Limits &limits) {
        float scores[STRIPS][TILE / 8][4] = {};
        score(tiles, tile, scores);
#pragma unroll
        for (i32 strip = 0; strip < STRIPS; strip++) {
            if (first + TILE - 1 > limits.lowest) hide_past(scores[strip], first, limits, query(strip));
            float rescale[2];
            if (!softmax[strip].weigh(scores[strip], scale, rescale)) continue;
#pragma unroll
            for (i32 i = 0; i < D / 8; i++) {
#pragma unroll
                for (i32 j = 0; j < 4; j++) sums[strip][i][j] *= rescale[j / 2];
            }
        }
#pragma unroll
        for (i32 step = 0; step < TILE / 16; step++) {
            u32 weights[STRIPS][4];
#pragma unroll
            for (i32 strip = 0; strip < STRIPS; strip++) {
                narrow_weights<T>(scores[strip][2 * step], scores[strip][2 * step + 1], weights[strip]);
            }
            if (limits.reach(first + step * 16 + 15)) {
                multiply(tiles, tile + TILE_BYTES, step, weights);
            } else {
                multiply_to_limits(tiles, tile + TILE_BYTES, first, step, weights, limits);
            }
        }
    }

    /// Adds tiles first, first + step, ... to the one that holds position limits.last. Tiles: tile_source.cuh; Limits:
    /// query_limits.cuh; memory: SHARED_BYTES of shared memory.
    template <class Tiles, class Limits>
    DEVICE void attend(u8 *memory, Tiles &tiles, i32 first, i32 step, float scale, const Limits &limits) {
        const i32 end = limits.last / TILE + 1;
        u32 now = 0;
        if (first < end) {
            tiles.begin(memory, first * TILE);
            tiles.finish(memory);
        }
        for (i32 tile = first; tile < end; tile += step) {
            tiles.arrive();
            // All have this tile, and none still reads the one before it.
            sync_block();
            const u32 next = now ^ 2 * TILE_BYTES;
            const bool goes_on = tile + step < end;
            if (goes_on) tiles.begin(memory + next, (tile + step) * TILE);
            add(memory, now, tile * TILE, scale, limits);
            if (goes_on) tiles.finish(memory + next);
            now = next;
        }
#pragma unroll
        for (i32 strip = 0; strip < STRIPS; strip++) softmax[strip].finish();
    }

    /// y[0..<D] = a query's output, as T. `start(i)`: where it goes, null if nowhere.
    template <class Start> DEVICE void store(const Start &start) const {
#pragma unroll
        for (i32 strip = 0; strip < STRIPS; strip++) {
#pragma unroll
            for (i32 half = 0; half < 2; half++) {
                u32 *const words = (u32 *)start(query(strip) + 8 * half);
                if (!words) continue;
                const float factor = 1 / softmax[strip].totals[half];
#pragma unroll
                for (i32 i = 0; i < D / 8; i++) {
                    const float *const pair = sums[strip][i] + 2 * half;
                    words[i * 4 + lane() % 4] = narrow2<T>(pair[0] * factor, pair[1] * factor);
                }
            }
        }
    }

    /// Records of this block's part of the queries (query_tile.cuh). `start(i)`: query i's, null for none.
    template <class Start> DEVICE void store_parts(const Start &start) const {
#pragma unroll
        for (i32 strip = 0; strip < STRIPS; strip++) {
#pragma unroll
            for (i32 half = 0; half < 2; half++) {
                float *const record = start(query(strip) + 8 * half);
                if (!record) continue;
#pragma unroll
                for (i32 i = 0; i < D / 8; i++) {
                    for (i32 j = 0; j < 2; j++) record[i * 8 + lane() % 4 * 2 + j] = sums[strip][i][2 * half + j];
                }
                if (lane() % 4 == 0) {
                    record[D] = softmax[strip].maxima[half];
                    record[D + 1] = softmax[strip].totals[half];
                }
            }
        }
    }
};

#endif
