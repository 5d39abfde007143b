/// What the vision tower does outside its matrix products: patches and their positions.
#include "../kernels.h"
#include "taps.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

typedef struct {
    size_t row;
    size_t column;
} patch;

/// Where patch `index` lies on a grid `columns` wide: blocks of merge_size^2 patches, row by row (MODEL.md 2.3).
static patch patch_at(size_t index, size_t columns, size_t merge_size) {
    const size_t inside = index % (merge_size * merge_size);
    const size_t block = index / (merge_size * merge_size);
    const size_t blocks_across = columns / merge_size;
    return (patch){
        .row = block / blocks_across * merge_size + inside / merge_size,
        .column = block % blocks_across * merge_size + inside % merge_size,
    };
}

void martlet_extract_patches_scalar(const martlet_image *image, size_t first, size_t count, float *y, size_t stride) {
    const size_t side = image->patch_size;
    const size_t pixels = side * side;
    for (size_t index = first; index < first + count; index++, y += stride) {
        const patch at = patch_at(index, image->width / side, image->merge_size);
        const uint8_t *corner = image->rgb + 3 * (at.row * side * image->width + at.column * side);
        for (size_t channel = 0; channel < 3; channel++) {
            const float *levels = image->levels + 256 * channel;
            float *frames = y + channel * image->frames * pixels;
            for (size_t row = 0; row < side; row++) {
                const uint8_t *source = corner + 3 * row * image->width + channel;
                float *target = frames + row * side;
                for (size_t column = 0; column < side; column++) target[column] = levels[source[3 * column]];
            }
            for (size_t frame = 1; frame < image->frames; frame++) {
                memcpy(frames + frame * pixels, frames, pixels * sizeof *frames);
            }
        }
    }
}

/// The cubic convolution kernel with a = -0.75 at distance d >= 0 (MODEL.md 2.1.3).
static float cubic(float d) {
    const float a = -0.75f;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    return 0;
}

/// Samples and weights of the four taps around where cell `i` of `cells` lies on a side of `side` samples; past the
/// edge the last sample again.
static void taps_of(size_t i, size_t cells, size_t side, size_t samples[4], float weights[4]) {
    const double centre = ((double)i + 0.5) * (double)side / (double)cells - 0.5;
    const double base = floor(centre);
    const float fraction = (float)(centre - base);
    for (int k = 0; k < 4; k++) {
        const double at = base - 1 + k;
        samples[k] = at < 0 ? 0 : at > (double)(side - 1) ? side - 1 : (size_t)at;
        weights[k] = cubic(fabsf(fraction - (float)(k - 1)));
    }
}

martlet_taps martlet_taps_at(const martlet_position_grid *grid, size_t index) {
    const patch at = patch_at(index, grid->columns, grid->merge_size);
    size_t rows[4], columns[4];
    martlet_taps taps;
    taps_of(at.row, grid->rows, grid->side, rows, taps.down);
    taps_of(at.column, grid->columns, grid->side, columns, taps.across);
    for (size_t r = 0; r < 4; r++) {
        for (size_t c = 0; c < 4; c++) {
            taps.sample[r][c] = grid->table + (rows[r] * grid->side + columns[c]) * grid->width;
        }
    }
    return taps;
}

void martlet_add_positions_scalar(
    const martlet_position_grid *grid, size_t first, size_t count, float *x, size_t stride) {
    for (size_t index = first; index < first + count; index++, x += stride) {
        const martlet_taps taps = martlet_taps_at(grid, index);
        for (size_t i = 0; i < grid->width; i++) x[i] += martlet_interpolate(&taps, i);
    }
}
