// Sums over a block that do not depend on the number of its threads: integers only.
#ifndef MARTLET_BLOCK_SUMS_CUH
#define MARTLET_BLOCK_SUMS_CUH

#include "device.cuh"

DEVICE i32 warps_a_block() { return i32(blockDim.x) / 32; }

DEVICE u64 warp_sum(u64 x) {
    for (i32 distance = 16; distance > 0; distance >>= 1) x += shuffle_xor(x, distance);
    return x;
}

/// The sum over the warp's lanes through this one.
DEVICE u64 warp_running_sum(u64 x) {
    for (i32 distance = 1; distance < 32; distance <<= 1) {
        const u64 before = shuffle_up(x, distance);
        if (lane() >= distance) x += before;
    }
    return x;
}

/// The sum of measure(i) over i < count, in every thread.
template <class Measure> DEVICE u64 block_sum(i32 count, const Measure &measure) {
    SHARED(u64, sums, [32]);
    u64 sum = 0;
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) sum += measure(i);
    sum = warp_sum(sum);
    if (lane() == 0) sums[warp()] = sum;
    sync_block();
    sum = warp_sum(lane() < warps_a_block() ? sums[lane()] : 0);
    sync_block();
    return sum;
}

/// Where a running sum passes a target.
struct passing {
    /// count if it never does.
    i32 index;
    /// The sum before it.
    u64 before;
};

/// The first i < count where the sum of measure(0) through measure(i) exceeds `target`, the same in every thread: each
/// warp, of which there are two at least, sums a part of the range, and the part where it happens is the next range.
template <class Measure> DEVICE passing first_past(i32 count, u64 target, const Measure &measure) {
    SHARED(u64, sums, [32]);
    i32 first = 0, end = count;
    u64 before = 0;
    while (end > first) {
        const i32 part = (end - first + warps_a_block() - 1) / warps_a_block();
        const i32 own = first + warp() * part, own_end = min(own + part, end);
        u64 sum = 0;
        for (i32 i = own + lane(); i < own_end; i += 32) sum += measure(i);
        sum = warp_sum(sum);
        if (lane() == 0) sums[warp()] = sum;
        sync_block();
        sum = lane() < warps_a_block() ? sums[lane()] : 0;
        const u64 running = warp_running_sum(sum);
        sync_block();
        const u32 past = ballot(before + running > target);
        if (past == 0) return {count, before + shuffle(running, 31)};
        const i32 where = 31 - leading_zeros(past & (0 - past));
        before += shuffle(running - sum, where);
        first += where * part;
        if (part == 1) return {first, before};
        end = min(first + part, end);
    }
    return {count, before};
}

#endif
