// Where the position of a patch is sampled: 4 x 4 samples of the learned table and their weights.
#ifndef MARTLET_SCALAR_TAPS_H
#define MARTLET_SCALAR_TAPS_H

#include "../kernels.h"

typedef struct martlet_taps {
    /// [width] each.
    const float *sample[4][4];
    float down[4];
    float across[4];
} martlet_taps;

/// The taps of patch `index`, in block order.
martlet_taps martlet_taps_at(const martlet_position_grid *grid, size_t index);

/// Dimension `i` of the position: every line of taps, then the column of lines.
static inline float martlet_interpolate(const martlet_taps *taps, size_t i) {
#pragma STDC FP_CONTRACT OFF
    float total = 0;
    for (size_t r = 0; r < 4; r++) {
        float line = 0;
        for (size_t c = 0; c < 4; c++) line += taps->across[c] * taps->sample[r][c][i];
        total += taps->down[r] * line;
    }
    return total;
}

#endif
