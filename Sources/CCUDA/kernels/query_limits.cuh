// Up to which positions the queries of a warp attend.
#ifndef MARTLET_QUERY_LIMITS_CUH
#define MARTLET_QUERY_LIMITS_CUH

#include "device.cuh"

/// The limits of STRIPS times 16 queries, of which a lane has two each (softmax.cuh).
template <i32 STRIPS> struct query_limits {
    /// Of the lane's two queries in each strip.
    i32 own[STRIPS][2];
    /// Of all queries of a strip.
    i32 lowest[STRIPS], highest[STRIPS];
    /// Of all queries of the block. Past it values are zero.
    i32 last;

    /// Whether no query has to be kept from a value at or before `position`.
    DEVICE bool reach(i32 position) const {
        bool all = true;
#pragma unroll
        for (i32 strip = 0; strip < STRIPS; strip++) {
            all = all && (position <= lowest[strip] || lowest[strip] == last);
        }
        return all;
    }
};

#endif
