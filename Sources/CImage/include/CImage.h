// Pictures from strangers: PNG, JPEG and WebP through the system libraries, behind calls that return a
// status and never exit, abort, jump out or print. Nothing here keeps state between calls, so every
// function may run on any number of threads at once. All memory that a call takes, it gives back.
#ifndef MARTLET_CIMAGE_H
#define MARTLET_CIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum martlet_image_status {
    MARTLET_IMAGE_OK = 0,
    MARTLET_IMAGE_UNSUPPORTED = 1,    // a picture of a kind that is not decoded; see info.format
    MARTLET_IMAGE_TRUNCATED = 2,      // the bytes end too early
    MARTLET_IMAGE_CORRUPT = 3,        // the bytes contradict the format
    MARTLET_IMAGE_TOO_COMPLEX = 4,    // more chunks, segments or scans than any honest file has
    MARTLET_IMAGE_OUT_OF_MEMORY = 5,
};

enum martlet_image_format {
    MARTLET_FORMAT_UNKNOWN = 0,
    MARTLET_FORMAT_PNG,
    MARTLET_FORMAT_JPEG,
    MARTLET_FORMAT_WEBP,
    // Known by their first bytes and refused by name:
    MARTLET_FORMAT_GIF,
    MARTLET_FORMAT_TIFF,
    MARTLET_FORMAT_BMP,
    MARTLET_FORMAT_ICO,
    MARTLET_FORMAT_SVG,
    MARTLET_FORMAT_PDF,
    MARTLET_FORMAT_AVIF,
    MARTLET_FORMAT_HEIC,
    MARTLET_FORMAT_JPEG_XL,
    MARTLET_FORMAT_JPEG_2000,
    MARTLET_FORMAT_PSD,
    MARTLET_FORMAT_WEBP_ANIMATED,
    MARTLET_FORMAT_JPEG_LOSSLESS,
    MARTLET_FORMAT_JPEG_12_BIT,
    MARTLET_FORMAT_JPEG_ARITHMETIC,
};

// What the first pass over the bytes tells, before any pixel is decoded or allocated.
struct martlet_image_info {
    int32_t format;           // enum martlet_image_format
    uint32_t width, height;   // as stored, before orientation
    int32_t orientation;      // EXIF 1...8; 1 where there is none
    int32_t channels;         // as stored: 1, 3 or 4 (JPEG); 0 where it does not matter
    uint32_t scans;           // of a JPEG; 1 otherwise
    bool ended;               // the marker or chunk that closes the file was found
    bool progressive;
    uint64_t least_bytes;     // a file of fewer bytes cannot hold that many pixels; 0 where nothing is known
};

// Reads headers only. On OK every field of `info` is set, width and height are at least 1.
// On UNSUPPORTED info->format names the kind.
int martlet_image_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info);

// Decodes to RGB8, rows from the top, alpha composited on white, not yet oriented. `rgb` holds
// `rgb_count` = width * height * 3 bytes of the size that `martlet_image_probe` gave for the same bytes.
int martlet_image_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb, size_t rgb_count);

// Turns rgb [height, width, 3] upright by EXIF orientation 2...8 into `out` of the same number of bytes;
// orientations 5...8 exchange width and height.
void martlet_image_orient(const uint8_t *rgb, size_t width, size_t height, int orientation, uint8_t *out);

// Bicubic with antialias, a = -0.5, as torchvision resizes uint8 on a CPU with AVX2: horizontal pass first,
// int16 weights, bytes between the passes; a pass that keeps its length is skipped. `out` holds
// out_width * out_height * 3 bytes. All sizes at least 1. Returns OK or OUT_OF_MEMORY.
int martlet_image_resize(
    const uint8_t *rgb, size_t width, size_t height, uint8_t *out, size_t out_width, size_t out_height);

// Strict RFC 4648 base64 with padding: `out` holds at least count / 4 * 3 bytes; returns the bytes written,
// or -1 for any other character, length or non-canonical tail.
ptrdiff_t martlet_base64_decode(const uint8_t *text, size_t count, uint8_t *out);

#endif
