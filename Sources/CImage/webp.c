// Still WebP, lossy and lossless, through libwebp.
#include "codec.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>

static uint32_t little32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// The orientation in the EXIF chunk of an extended file.
static int orientation_of(const uint8_t *bytes, size_t count) {
    size_t at = 12;
    for (size_t chunks = 0; count - at >= 8 && chunks < MARTLET_MAX_CHUNKS; chunks++) {
        size_t length = little32(bytes + at + 4), room = count - at - 8;
        if (length > room) return 1;
        const uint8_t *body = bytes + at + 8;
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            bool prefixed = length >= 6 && memcmp(body, "Exif\0\0", 6) == 0;
            return martlet_exif_orientation(body + (prefixed ? 6 : 0), length - (prefixed ? 6 : 0));
        }
        length += length & 1;
        if (length > room) return 1;
        at += 8 + length;
    }
    return 1;
}

static int status_of(VP8StatusCode code) {
    switch (code) {
        case VP8_STATUS_OK: return MARTLET_IMAGE_OK;
        case VP8_STATUS_OUT_OF_MEMORY: return MARTLET_IMAGE_OUT_OF_MEMORY;
        case VP8_STATUS_NOT_ENOUGH_DATA:
        case VP8_STATUS_SUSPENDED: return MARTLET_IMAGE_TRUNCATED;
        default: return MARTLET_IMAGE_CORRUPT;
    }
}

int martlet_webp_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info) {
    WebPBitstreamFeatures features;
    int status = status_of(WebPGetFeatures(bytes, count, &features));
    if (status != MARTLET_IMAGE_OK) return status;
    if (features.has_animation) {
        info->format = MARTLET_FORMAT_WEBP_ANIMATED;
        return MARTLET_IMAGE_UNSUPPORTED;
    }
    if (features.width <= 0 || features.height <= 0) return MARTLET_IMAGE_CORRUPT;
    info->width = (uint32_t)features.width;
    info->height = (uint32_t)features.height;
    info->channels = features.has_alpha ? 4 : 3;
    info->ended = true;
    info->orientation = orientation_of(bytes, count);
    return MARTLET_IMAGE_OK;
}

int martlet_webp_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *info, uint8_t *rgb
) {
    size_t pixels = (size_t)info->width * info->height, channels = info->channels == 4 ? 4 : 3;
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return MARTLET_IMAGE_UNSUPPORTED;
    uint8_t *target = channels == 4 ? malloc(pixels * 4) : rgb;
    if (!target) return MARTLET_IMAGE_OUT_OF_MEMORY;
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = target;
    config.output.u.RGBA.stride = (int)(info->width * channels);
    config.output.u.RGBA.size = pixels * channels;
    int status = status_of(WebPDecode(bytes, count, &config));
    if (status == MARTLET_IMAGE_OK
        && (config.input.width != (int)info->width || config.input.height != (int)info->height))
        status = MARTLET_IMAGE_CORRUPT;
    WebPFreeDecBuffer(&config.output);
    if (channels == 4) {
        if (status == MARTLET_IMAGE_OK) martlet_composite_on_white(target, pixels, rgb);
        free(target);
    }
    return status;
}
