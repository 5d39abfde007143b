// The best tokens of a row: down to which logit, and to which id among equals.
#ifndef MARTLET_SELECTION_CUH
#define MARTLET_SELECTION_CUH

#include "block_sums.cuh"

/// Orders as the floats do, both zeros alike.
DEVICE u32 order_of(float x) {
    const u32 bits = bits_of(add_rounded(x, 0.0f));
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/// Tokens of a higher order are in; of this order those to id `last`.
struct selection {
    u32 order;
    i32 last;

    DEVICE bool contains(float x, i32 id) const {
        const u32 at = order_of(x);
        return at > order || (at == order && id <= last);
    }
};

/// Orders from `lowest` on, so many of them, in which a threshold lies, and the measure that is wanted of them.
struct threshold_range {
    u32 lowest;
    u64 width;
    u64 wanted;
};

/// The part of all orders where the measure of the best tokens reaches `wanted`: between two of some distances from the
/// largest logit, in units of `temperature`. One pass in registers, after which few tokens are left to be counted.
template <class Measure>
DEVICE threshold_range coarse_range(
    const float *x, i32 count, float maximum, float temperature, u64 wanted, const Measure &measure) {
    constexpr i32 COUNT = 8;
    SHARED(u64, sums, [COUNT]);
    u32 edges[COUNT];
    u64 own[COUNT] = {};
    for (i32 i = 0; i < COUNT; i++) edges[i] = order_of(maximum - temperature * float((i + 1) * (i + 2)) * 0.5f);
    if (threadIdx.x < COUNT) sums[threadIdx.x] = 0;
    sync_block();
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) {
        const u32 at = order_of(x[i]);
        const u64 weight = measure(i);
#pragma unroll
        for (i32 j = 0; j < COUNT; j++) own[j] += at >= edges[j] ? weight : 0;
    }
#pragma unroll
    for (i32 j = 0; j < COUNT; j++) {
        const u64 sum = warp_sum(own[j]);
        if (lane() == 0) atomic_add(&sums[j], sum);
    }
    sync_block();
    u64 above = order_of(maximum) + 1ull, passed = 0;
    threshold_range range = {0, 0, 0};
    for (i32 j = 0; j < COUNT && range.wanted == 0; j++) {
        if (sums[j] >= wanted) {
            range = {edges[j], above - edges[j], wanted - passed};
        } else {
            above = edges[j];
            passed = sums[j];
        }
    }
    sync_block();
    return range.wanted > 0 ? range : threshold_range{0, above, wanted - passed};
}

/// bins[i] += measure for the lanes that take part. Lanes that share a bin with the first of them are added up before,
/// since many equal logits would queue for it.
DEVICE void add_to_bins(u64 *bins, i32 bin, u64 measure, bool takes_part) {
    const u32 all = ballot(takes_part);
    if (all == 0) return;
    const i32 first = 31 - leading_zeros(all & (0 - all));
    const i32 common = shuffle(bin, first);
    const bool joins = takes_part && bin == common;
    const u64 sum = warp_sum(joins ? measure : u64(0));
    if (lane() == first) atomic_add(&bins[common], sum);
    if (takes_part && !joins) atomic_add(&bins[bin], measure);
}

/// The shortest run of tokens from the best, the lower id first among equals, whose measure reaches `wanted`, which is
/// positive; all if none does. `maximum`: the largest of x, which holds no NaN.
template <class Measure>
DEVICE selection select_best(
    const float *x, i32 count, float maximum, float temperature, u64 wanted, const Measure &measure) {
    constexpr i32 BINS = 256;
    SHARED(u64, bins, [BINS]);
    threshold_range range = coarse_range(x, count, maximum, temperature, wanted, measure);
    while (range.width > 1) {
        // As many bins as there are orders, or the fewest that have more than half of BINS; the best bin is the first.
        i32 shift = 0;
        while ((range.width - 1) >> shift >= BINS) shift++;
        for (i32 i = i32(threadIdx.x); i < BINS; i += i32(blockDim.x)) bins[i] = 0;
        sync_block();
        const u64 highest = range.lowest + range.width - 1;
        for (i32 base = 32 * warp(); base < count; base += i32(blockDim.x)) {
            const i32 i = base + lane();
            const u32 at = i < count ? order_of(x[i]) : 0;
            const bool is_in = i < count && at >= range.lowest && at <= highest;
            add_to_bins(bins, is_in ? i32((highest - at) >> shift) : 0, is_in ? measure(i) : 0, is_in);
        }
        sync_block();
        const passing found = first_past(BINS, range.wanted - 1, [&](i32 i) { return bins[i]; });
        const u64 bin = u64(min(found.index, i32((range.width - 1) >> shift)));
        range.wanted -= found.index < BINS ? found.before : 0;
        const u64 top = highest - (bin << shift), size = 1ull << shift;
        const u64 lowest = top - range.lowest + 1 > size ? top - size + 1 : range.lowest;
        range.lowest = u32(lowest);
        range.width = top - lowest + 1;
    }
    const u32 order = range.lowest;
    const passing last = first_past(count, range.wanted - 1, [&](i32 i) {
        return order_of(x[i]) == order ? measure(i) : u64(0);
    });
    return {order, last.index};
}

#endif
