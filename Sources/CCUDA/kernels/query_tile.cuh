// What one block of paged attention computes.
#ifndef MARTLET_QUERY_TILE_CUH
#define MARTLET_QUERY_TILE_CUH

#include "device.cuh"

/// Some consecutive rows of one sequence and the query heads that share a key/value head. Query i of the tile is head
/// i % group of row i / group. A row attends to positions 0 through its own, which ascend with the rows.
struct query_tile {
    i32 first_row, row_count, sequence;
    i32 group;
    /// Of all query heads.
    i32 first_head;
    const i32 *row_position;

    /// Tile `index` of tiles [count][4]: first row, rows, sequence, 0.
    DEVICE query_tile(const i32 *tiles, i32 index, i32 group, i32 kv_head, const i32 *row_position)
        : first_row(tiles[4 * index]), row_count(tiles[4 * index + 1]), sequence(tiles[4 * index + 2]), group(group),
          first_head(kv_head * group), row_position(row_position) {}

    DEVICE i32 query_count() const { return row_count * group; }
    /// The last position that query i attends to; past the last query, that of the last.
    DEVICE i32 limit(i32 i) const { return row_position[first_row + min(i / group, row_count - 1)]; }
    /// Where head `dimension` of query i begins in rows `stride` apart.
    DEVICE i64 offset(i32 i, i32 stride, i32 dimension) const {
        return i64(first_row + i / group) * stride + (first_head + i % group) * dimension;
    }
};

/// What is known of a query after some of its positions: [dimension] sums of values, each times its weight, then the
/// greatest score in powers of two, then the sum of weights. A query's parts, `splits` of them, are `places` apart.
struct partial_record {
    /// In floats from the first; tile_head: (tile * kv_heads + kv_head).
    static DEVICE i64 offset(i64 tile_head, i32 splits, i32 split, i32 places, i32 query, i32 dimension) {
        return (((tile_head * splits + split) * places) + query) * (dimension + 2);
    }
};

#endif
