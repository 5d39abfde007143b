// JPEG through libjpeg-turbo's TurboJPEG calls. A walk over the markers comes first: it gives the size, the
// orientation and the number of scans before the library sees a byte.
#include "codec.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum { SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, DHT = 0xC4, JPG = 0xC8, DAC = 0xCC, APP1 = 0xE1 };

// The next marker at or after `at`, stepping over entropy-coded bytes; `count` where there is none.
static size_t next_marker(const uint8_t *bytes, size_t count, size_t at) {
    while (at + 1 < count) {
        const uint8_t *found = memchr(bytes + at, 0xFF, count - 1 - at);
        if (!found) return count;
        at = (size_t)(found - bytes);
        uint8_t code = bytes[at + 1];
        bool stuffing = code == 0 || code == 1 || (code >= 0xD0 && code <= 0xD7);
        if (!stuffing && code != 0xFF) return at;
        at += code == 0xFF ? 1 : 2;
    }
    return count;
}

static int read_frame(uint8_t marker, const uint8_t *body, size_t length, struct martlet_image_info *info) {
    if (length < 6) return MARTLET_IMAGE_CORRUPT;
    if (info->width) return MARTLET_IMAGE_CORRUPT;    // a second frame header
    info->height = martlet_big16(body + 1);
    info->width = martlet_big16(body + 3);
    info->channels = body[5];
    if (info->width == 0 || info->height == 0) return MARTLET_IMAGE_CORRUPT;
    if ((marker & 3) == 3 || marker == 0xC5 || marker == 0xC6 || marker == 0xCD || marker == 0xCE) {
        info->format = MARTLET_FORMAT_JPEG_LOSSLESS;
        return MARTLET_IMAGE_UNSUPPORTED;
    }
    if (body[0] != 8) {
        info->format = MARTLET_FORMAT_JPEG_12_BIT;
        return MARTLET_IMAGE_UNSUPPORTED;
    }
    if (marker >= 0xC8) {
        info->format = MARTLET_FORMAT_JPEG_ARITHMETIC;
        return MARTLET_IMAGE_UNSUPPORTED;
    }
    // Huffman codes have a bit at least: one for each block's DC, and in one scan one more for its end.
    uint64_t blocks = (uint64_t)info->width * info->height / 64;
    info->progressive = marker == 0xC2;
    info->least_bytes = info->progressive ? blocks / 8 : blocks / 4;
    bool known = info->channels == 1 || info->channels == 3 || info->channels == 4;
    return known ? MARTLET_IMAGE_OK : MARTLET_IMAGE_CORRUPT;
}

int martlet_jpeg_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info) {
    size_t at = 2, segments = 0;
    bool oriented = false;
    info->scans = 0;
    while ((at = next_marker(bytes, count, at)) < count) {
        uint8_t marker = bytes[at + 1];
        info->ended = marker == EOI;
        if (info->ended) break;
        if (++segments > MARTLET_MAX_CHUNKS) return MARTLET_IMAGE_TOO_COMPLEX;
        at += 2;
        if (marker == SOI) continue;
        if (count - at < 2) break;
        size_t length = martlet_big16(bytes + at);
        if (length < 2) return MARTLET_IMAGE_CORRUPT;
        if (length > count - at) break;
        const uint8_t *body = bytes + at + 2;
        if (marker >= 0xC0 && marker <= 0xCF && marker != DHT && marker != JPG && marker != DAC) {
            int status = read_frame(marker, body, length - 2, info);
            if (status != MARTLET_IMAGE_OK) return status;
        } else if (marker == APP1 && !oriented && length >= 8 && memcmp(body, "Exif\0\0", 6) == 0) {
            oriented = true;
            info->orientation = martlet_exif_orientation(body + 6, length - 8);
        } else if (marker == SOS && ++info->scans > MARTLET_MAX_JPEG_SCANS) {
            return MARTLET_IMAGE_TOO_COMPLEX;
        }
        at += length;
    }
    return info->width ? MARTLET_IMAGE_OK : MARTLET_IMAGE_TRUNCATED;
}

// Stored CMYK as Pillow turns it to RGB. Four-channel JPEGs hold inverted ink (Adobe's habit, assumed always).
static void cmyk_to_rgb(const uint8_t *cmyk, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++) {
        uint32_t light = cmyk[4 * i + 3];    // 255 - black
        for (size_t c = 0; c < 3; c++) {
            uint32_t ink = 255u - cmyk[4 * i + c], product = ink * light + 128;
            rgb[3 * i + c] = (uint8_t)(light - (((product >> 8) + product) >> 8));
        }
    }
}

// Warnings are tolerated as Pillow tolerates them, except that the data ended early. The library keeps only its
// last warning, so a missing end counts too.
static int failure_of(tjhandle handle, bool ended) {
    const char *text = tjGetErrorStr2(handle);
    if (!ended || strstr(text, "remature end")) return MARTLET_IMAGE_TRUNCATED;
    if (tjGetErrorCode(handle) == TJERR_WARNING) return MARTLET_IMAGE_OK;
    return strstr(text, "nsufficient memory") ? MARTLET_IMAGE_OUT_OF_MEMORY : MARTLET_IMAGE_CORRUPT;
}

int martlet_jpeg_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb
) {
    // Several scans show nothing until the last one, so a file without its end is refused, as Pillow refuses it.
    bool several = info->progressive || info->scans > 1;
    if (several && !info->ended) return MARTLET_IMAGE_TRUNCATED;
    if (several && (uint64_t)info->scans * info->width * info->height > MARTLET_MAX_SCAN_PIXELS)
        return MARTLET_IMAGE_TOO_COMPLEX;
    tjhandle handle = tjInitDecompress();
    if (!handle) return MARTLET_IMAGE_OUT_OF_MEMORY;
    int width = 0, height = 0, subsampling = 0, colors = 0, status = MARTLET_IMAGE_OK;
    // Fails on rare subsamplings that decode well, but the size is set by then; it must be the probe's.
    (void)tjDecompressHeader3(handle, bytes, (unsigned long)count, &width, &height, &subsampling, &colors);
    if (width != (int)info->width || height != (int)info->height) {
        tjDestroy(handle);
        return MARTLET_IMAGE_CORRUPT;
    }
    bool ink = info->channels == 4;
    size_t pixels = (size_t)width * (size_t)height;
    uint8_t *target = ink ? malloc(pixels * 4) : rgb;
    if (!target) {
        tjDestroy(handle);
        return MARTLET_IMAGE_OUT_OF_MEMORY;
    }
    if (tjDecompress2(handle, bytes, (unsigned long)count, target, width, 0, height, ink ? TJPF_CMYK : TJPF_RGB, 0))
        status = failure_of(handle, info->ended);
    if (ink) {
        if (status == MARTLET_IMAGE_OK) cmyk_to_rgb(target, pixels, rgb);
        free(target);
    }
    tjDestroy(handle);
    return status;
}
