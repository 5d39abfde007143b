/// What the vision tower does outside its matrix products: patches and their positions.
#include "../kernels.h"

#include <math.h>

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
        float *out = y;
        for (size_t channel = 0; channel < 3; channel++) {
            const float *levels = image->levels + 256 * channel;
            for (size_t frame = 0; frame < image->frames; frame++, out += pixels) {
                for (size_t i = 0; i < pixels; i++) {
                    out[i] = levels[corner[3 * (i / side * image->width + i % side) + channel]];
                }
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

typedef struct {
    size_t index[4];
    float weight[4];
} taps;

/// Four taps around where cell `i` of `cells` lies on a side of `side` samples; indices clamped to the edge.
static taps taps_at(size_t i, size_t cells, size_t side) {
    const double centre = ((double)i + 0.5) * (double)side / (double)cells - 0.5;
    const double base = floor(centre);
    const float fraction = (float)(centre - base);
    taps result;
    for (int k = 0; k < 4; k++) {
        const double at = base - 1 + k;
        result.index[k] = at < 0 ? 0 : at > (double)(side - 1) ? side - 1 : (size_t)at;
        result.weight[k] = cubic(fabsf(fraction - (float)(k - 1)));
    }
    return result;
}

void martlet_add_positions_scalar(
    const martlet_position_grid *grid, size_t first, size_t count, float *x, size_t stride) {
    const size_t width = grid->width;
    for (size_t index = first; index < first + count; index++, x += stride) {
        const patch at = patch_at(index, grid->columns, grid->merge_size);
        const taps down = taps_at(at.row, grid->rows, grid->side);
        const taps across = taps_at(at.column, grid->columns, grid->side);
        for (size_t i = 0; i < width; i++) {
            float total = 0;
            for (size_t r = 0; r < 4; r++) {
                const float *row = grid->table + down.index[r] * grid->side * width + i;
                float line = 0;
                for (size_t c = 0; c < 4; c++) line += across.weight[c] * row[across.index[c] * width];
                total += down.weight[r] * line;
            }
            x[i] += total;
        }
    }
}
