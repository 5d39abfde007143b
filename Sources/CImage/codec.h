// What the files of this target share: one probe and one decode a format, and the bytes they read.
#ifndef MARTLET_CODEC_H
#define MARTLET_CODEC_H

#include "CImage.h"

// No honest file comes near these; a hostile one is made of nothing else.
#define MARTLET_MAX_CHUNKS 65536u
#define MARTLET_MAX_JPEG_SCANS 64u
// Every scan of a progressive JPEG walks all coefficients again: scans * pixels is its price.
#define MARTLET_MAX_SCAN_PIXELS (640ull * 1000 * 1000)

int martlet_png_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info);
int martlet_png_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb);

int martlet_jpeg_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info);
int martlet_jpeg_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb);

int martlet_webp_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info);
int martlet_webp_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb);

// The orientation (1...8) in a TIFF-shaped EXIF block, 1 where it has none or is damaged.
int martlet_exif_orientation(const uint8_t *bytes, size_t count);

// [count] RGBA pixels over white into [count] RGB pixels; `rgb` may be `rgba` itself. The rounding is
// Pillow's alpha_composite.
void martlet_composite_on_white(const uint8_t *rgba, size_t count, uint8_t *rgb);

static inline uint32_t martlet_big16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t martlet_big32(const uint8_t *p) { return martlet_big16(p) << 16 | martlet_big16(p + 2); }

#endif
