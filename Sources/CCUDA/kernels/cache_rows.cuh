// Where the key and the value of a position lie.
#ifndef MARTLET_CACHE_ROWS_CUH
#define MARTLET_CACHE_ROWS_CUH

#include "device.cuh"

/// Rows of one head in a paged cache [block][head][slot][dimension]; slots of a block: a multiple of 16.
struct paged_rows {
    /// Of one sequence, in order. Block ids may be negative: a scratch block lies before the first.
    const i32 *blocks;
    i32 block_size, heads, head, dimension;
    /// 2^32 / block_size, rounded up: position * reciprocal / 2^32 is exact while position * block_size < 2^32.
    u32 reciprocal;

    DEVICE paged_rows(const i32 *blocks, i32 block_size, i32 heads, i32 head, i32 dimension)
        : blocks(blocks), block_size(block_size), heads(heads), head(head), dimension(dimension),
          reciprocal(0xffffffffu / u32(block_size) + 1) {}

    /// Of all rows of the cache; scales of bytes lie in this order.
    DEVICE i64 row(i32 position) const {
        const i32 index = i32(u64(u32(position)) * reciprocal >> 32);
        return (i64(blocks[index]) * heads + head) * block_size + (position - index * block_size);
    }
    /// In elements from the cache's first.
    DEVICE i64 offset(i32 position) const { return row(position) * dimension; }
};

/// Rows one after the other, `stride` elements apart.
struct strided_rows {
    i32 stride;

    DEVICE i64 row(i32 position) const { return position; }
    DEVICE i64 offset(i32 position) const { return i64(position) * stride; }
};

#endif
