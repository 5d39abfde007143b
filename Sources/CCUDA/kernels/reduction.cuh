// Sums over a block of threads, in an order that depends on the number of threads alone, and what is greatest there.
#ifndef MARTLET_REDUCTION_CUH
#define MARTLET_REDUCTION_CUH

#include "device.cuh"

/// The sum over the block, in every thread: first each warp's, then theirs.
DEVICE float block_sum(float x) {
    SHARED(float, sums, [32]);
    const float mine = warp_sum(x);
    // Whoever still reads what an earlier call left is past it.
    sync_block();
    if (lane() == 0) sums[warp()] = mine;
    sync_block();
    return warp_sum(lane() < i32(blockDim.x) / 32 ? sums[lane()] : 0.0f);
}

/// The greatest over the block, in every thread.
DEVICE float block_max(float x) {
    SHARED(float, greatest, [32]);
    const float mine = warp_max(x);
    sync_block();
    if (lane() == 0) greatest[warp()] = mine;
    sync_block();
    return warp_max(greatest[lane() < i32(blockDim.x) / 32 ? lane() : 0]);
}

#endif
