#include "codec.h"

#include <string.h>

// Reads one 16- or 32-bit number of a TIFF block in its own byte order.
static uint32_t number(const uint8_t *p, size_t size, bool little) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint32_t)p[i] << 8 * (little ? i : size - 1 - i);
    return value;
}

int martlet_exif_orientation(const uint8_t *bytes, size_t count) {
    if (count < 8) return 1;
    bool little = memcmp(bytes, "II*\0", 4) == 0;
    if (!little && memcmp(bytes, "MM\0*", 4) != 0) return 1;
    size_t directory = number(bytes + 4, 4, little);
    if (directory > count || count - directory < 2) return 1;
    size_t entries = number(bytes + directory, 2, little);
    for (size_t i = 0, at = directory + 2; i < entries && count - at >= 12; i++, at += 12) {
        if (number(bytes + at, 2, little) != 0x0112) continue;
        uint32_t type = number(bytes + at + 2, 2, little);
        uint32_t value = number(bytes + at + 8, type == 4 ? 4 : 2, little);
        return (type == 3 || type == 4) && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

void martlet_image_orient(const uint8_t *rgb, size_t width, size_t height, int orientation, uint8_t *out) {
    // Where source pixel (0, 0) lands, and how the target index moves with source x and y.
    bool transposed = orientation >= 5;
    size_t out_width = transposed ? height : width, out_height = transposed ? width : height;
    bool flip_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    bool flip_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    for (size_t y = 0; y < out_height; y++)
        for (size_t x = 0; x < out_width; x++) {
            size_t u = flip_x ? out_width - 1 - x : x, v = flip_y ? out_height - 1 - y : y;
            const uint8_t *from = rgb + 3 * (transposed ? u * width + v : v * width + u);
            uint8_t *to = out + 3 * (y * out_width + x);
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
}

void martlet_composite_on_white(const uint8_t *rgba, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++) {
        uint32_t alpha = rgba[4 * i + 3], white = 255u * (255u - alpha);
        for (size_t c = 0; c < 3; c++) {
            uint32_t blend = (rgba[4 * i + c] * alpha + white + 128) << 7;
            rgb[3 * i + c] = (uint8_t)((((blend >> 8) + blend) >> 8) >> 7);
        }
    }
}
