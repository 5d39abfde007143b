// What the vision tower does outside its matrix products: patches and their positions. A block a patch.
#include "device.cuh"

/// A place on the grid of patches.
struct patch {
    i32 row, column;
};

/// Where patch `index` lies on a grid `columns` wide: blocks of merge_size^2 patches, row by row (MODEL.md 2.3).
DEVICE patch patch_at(i32 index, i32 columns, i32 merge_size) {
    const i32 inside = index % (merge_size * merge_size);
    const i32 block = index / (merge_size * merge_size);
    const i32 blocks_across = columns / merge_size;
    return patch{
        block / blocks_across * merge_size + inside / merge_size,
        block % blocks_across * merge_size + inside % merge_size,
    };
}

/// y = patch vectors [count, 3 * frames * patch_size^2] of the patches from `first` on, in block order; grid [count].
/// rgb: [height, image_width, 3]; levels[256 * channel + byte]: the normalised value of a byte.
template <class T>
DEVICE void extract_patches(
    const u8 *rgb, i32 image_width, const float *levels, i32 patch_size, i32 merge_size, i32 frames, i32 first, T *y,
    i32 stride) {
    const patch at = patch_at(first + i32(blockIdx.x), image_width / patch_size, merge_size);
    const u8 *corner = rgb + 3 * (i64(at.row) * patch_size * image_width + at.column * patch_size);
    const i32 pixels = patch_size * patch_size;
    y += i64(blockIdx.x) * stride;
    for (i32 i = i32(threadIdx.x); i < 3 * pixels; i += i32(blockDim.x)) {
        const i32 channel = i / pixels, row = i % pixels / patch_size, column = i % patch_size;
        const u8 byte = corner[3 * (i64(row) * image_width + column) + channel];
        const T level = narrow<T>(levels[256 * channel + byte]);
        for (i32 frame = 0; frame < frames; frame++) y[(channel * frames + frame) * pixels + i % pixels] = level;
    }
}

/// The cubic convolution kernel with a = -0.75 at distance d >= 0 (MODEL.md 2.1.3).
DEVICE float cubic(float d) {
    const float a = -0.75f;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    return 0;
}

/// Four samples along one side and their weights.
struct taps {
    i32 samples[4];
    float weights[4];
};

/// The taps around where cell `i` of `cells` lies on a side of `side` samples; past the edge the last sample again.
DEVICE taps taps_of(i32 i, i32 cells, i32 side) {
    const double centre = (double(i) + 0.5) * double(side) / double(cells) - 0.5;
    const double base = floor(centre);
    const float fraction = float(centre - base);
    taps result;
    for (i32 k = 0; k < 4; k++) {
        const i32 at = i32(base) - 1 + k;
        result.samples[k] = at < 0 ? 0 : at > side - 1 ? side - 1 : at;
        result.weights[k] = cubic(fabsf(fraction - float(k - 1)));
    }
    return result;
}

/// x += the table [side * side, width] sampled bicubically at each patch of a rows x columns grid, in block order;
/// x: [patches, width], grid [patches]. The CPU's bits: every line of taps, then the column of lines.
DEVICE void add_positions(
    const float *table, i32 side, i32 width, i32 rows, i32 columns, i32 merge_size, float *x, i32 stride) {
    const patch at = patch_at(i32(blockIdx.x), columns, merge_size);
    const taps down = taps_of(at.row, rows, side), across = taps_of(at.column, columns, side);
    x += i64(blockIdx.x) * stride;
    for (i32 i = i32(threadIdx.x); i < width; i += i32(blockDim.x)) {
        float total = 0;
        for (i32 r = 0; r < 4; r++) {
            float line = 0;
            for (i32 c = 0; c < 4; c++) {
                line += across.weights[c] * table[i64(down.samples[r] * side + across.samples[c]) * width + i];
            }
            total += down.weights[r] * line;
        }
        x[i] += total;
    }
}

KERNEL(extract_patches_f32, 256, 9, extract_patches<float>)
KERNEL(extract_patches_f16, 256, 9, extract_patches<f16>)
KERNEL(extract_patches_bf16, 256, 9, extract_patches<bf16>)
KERNEL(add_positions, 256, 8, add_positions)
