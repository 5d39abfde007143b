#include "codec.h"

#include <string.h>

static bool starts(const uint8_t *bytes, size_t count, size_t at, const char *magic, size_t length) {
    return count >= at + length && memcmp(bytes + at, magic, length) == 0;
}
#define STARTS(at, magic) starts(bytes, count, at, magic, sizeof(magic) - 1)

// SVG has no magic: the first tag within the first kilobyte decides.
static bool looks_like_svg(const uint8_t *bytes, size_t count) {
    size_t end = count < 1024 ? count : 1024, at = 0;
    if (STARTS(0, "\xEF\xBB\xBF")) at = 3;
    while (at < end && (bytes[at] == ' ' || (bytes[at] >= 9 && bytes[at] <= 13))) at++;
    if (at >= end || bytes[at] != '<') return false;
    for (; at + 4 <= end; at++)
        if (memcmp(bytes + at, "<svg", 4) == 0) return true;
    return false;
}

static int sniff(const uint8_t *bytes, size_t count) {
    if (STARTS(0, "\x89PNG\r\n\x1a\n")) return MARTLET_FORMAT_PNG;
    if (STARTS(0, "\xFF\xD8\xFF")) return MARTLET_FORMAT_JPEG;
    if (STARTS(0, "RIFF") && STARTS(8, "WEBP")) return MARTLET_FORMAT_WEBP;
    if (STARTS(0, "GIF87a") || STARTS(0, "GIF89a")) return MARTLET_FORMAT_GIF;
    if (STARTS(0, "II*\0") || STARTS(0, "MM\0*") || STARTS(0, "II+\0") || STARTS(0, "MM\0+"))
        return MARTLET_FORMAT_TIFF;
    if (STARTS(0, "BM")) return MARTLET_FORMAT_BMP;
    if (STARTS(0, "\0\0\1\0") || STARTS(0, "\0\0\2\0")) return MARTLET_FORMAT_ICO;
    if (STARTS(0, "%PDF-")) return MARTLET_FORMAT_PDF;
    if (STARTS(0, "8BPS")) return MARTLET_FORMAT_PSD;
    if (STARTS(0, "\xFF\x0A") || STARTS(0, "\0\0\0\x0CJXL \r\n\x87\n")) return MARTLET_FORMAT_JPEG_XL;
    if (STARTS(0, "\xFF\x4F\xFF\x51") || STARTS(0, "\0\0\0\x0CjP  \r\n\x87\n")) return MARTLET_FORMAT_JPEG_2000;
    if (STARTS(4, "ftypavif") || STARTS(4, "ftypavis")) return MARTLET_FORMAT_AVIF;
    if (STARTS(4, "ftyphei") || STARTS(4, "ftyphev") || STARTS(4, "ftypmif1") || STARTS(4, "ftypmsf1"))
        return MARTLET_FORMAT_HEIC;
    if (looks_like_svg(bytes, count)) return MARTLET_FORMAT_SVG;
    return MARTLET_FORMAT_UNKNOWN;
}

int martlet_image_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info) {
    *info = (struct martlet_image_info){.format = sniff(bytes, count), .orientation = 1, .scans = 1};
    int status;
    switch (info->format) {
        case MARTLET_FORMAT_PNG: status = martlet_png_probe(bytes, count, info); break;
        case MARTLET_FORMAT_JPEG: status = martlet_jpeg_probe(bytes, count, info); break;
        case MARTLET_FORMAT_WEBP: status = martlet_webp_probe(bytes, count, info); break;
        default: return MARTLET_IMAGE_UNSUPPORTED;
    }
    if (status == MARTLET_IMAGE_OK && (info->width == 0 || info->height == 0)) return MARTLET_IMAGE_CORRUPT;
    return status;
}

int martlet_image_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb, size_t rgb_count
) {
    // 65535 * 65535 * 3 fits 64 bits, and no probe lets a larger side through (JPEG 16 bits, WebP 14).
    if (info->width == 0 || info->height == 0 || info->width > 65535 || info->height > 65535
        || (uint64_t)info->width * info->height * 3 != rgb_count)
        return MARTLET_IMAGE_CORRUPT;
    // A short file with a large header is found out before a pixel is written.
    if (count < info->least_bytes) return MARTLET_IMAGE_TRUNCATED;
    switch (info->format) {
        case MARTLET_FORMAT_PNG: return martlet_png_decode(bytes, count, info, rgb);
        case MARTLET_FORMAT_JPEG: return martlet_jpeg_decode(bytes, count, info, rgb);
        case MARTLET_FORMAT_WEBP: return martlet_webp_decode(bytes, count, info, rgb);
        default: return MARTLET_IMAGE_UNSUPPORTED;
    }
}
