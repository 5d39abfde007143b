// Up to which positions queries attend.
#ifndef MARTLET_QUERY_LIMITS_CUH
#define MARTLET_QUERY_LIMITS_CUH

#include "device.cuh"

/// Each query has a limit of its own; they lie in shared memory, since only the last tiles ask for them.
struct row_limits {
    const i32 *each;
    /// Of all queries of the warp.
    i32 lowest;
    /// The highest, of all queries of the block. Past it values are zero.
    i32 last;

    DEVICE i32 of(i32 query) const { return each[query]; }
    /// Whether no query of the warp has to be kept from a value at or before `position`.
    DEVICE bool reach(i32 position) const { return position <= lowest || lowest == last; }
};

/// All queries attend to all positions.
struct common_limit {
    i32 lowest, last;

    DEVICE explicit common_limit(i32 last) : lowest(last), last(last) {}
    DEVICE i32 of(i32) const { return last; }
    DEVICE bool reach(i32) const { return true; }
};

#endif
