// PNG through libpng. Only the chunks that make pixels (IHDR, PLTE, tRNS, IDAT, IEND) ever reach the library:
// colour profiles, text and whatever else a stranger compresses into a file are stepped over unread.
#include "codec.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define TAG(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const size_t signature_length = 8, chunk_overhead = 12;

// Walks every chunk header: the size, the orientation, and whether the file is built like a bomb.
int martlet_png_probe(const uint8_t *bytes, size_t count, struct martlet_image_info *info) {
    size_t at = signature_length, chunks = 0;
    for (; count - at >= chunk_overhead; chunks++) {
        if (chunks == MARTLET_MAX_CHUNKS) return MARTLET_IMAGE_TOO_COMPLEX;
        uint32_t length = martlet_big32(bytes + at), tag = martlet_big32(bytes + at + 4);
        const uint8_t *body = bytes + at + 8;
        if (chunks == 0) {
            if (tag != TAG('I', 'H', 'D', 'R') || length != 13 || count - at < chunk_overhead + 13)
                return MARTLET_IMAGE_CORRUPT;
            info->width = martlet_big32(body);
            info->height = martlet_big32(body + 4);
            if (info->width > INT32_MAX || info->height > INT32_MAX) return MARTLET_IMAGE_CORRUPT;
            // Deflate expands 1032 times at most, and a pixel has body[8] bits at least.
            info->least_bytes = (uint64_t)info->width * info->height / (8 * 1032) * body[8];
        }
        if (length > INT32_MAX) return chunks ? MARTLET_IMAGE_CORRUPT : MARTLET_IMAGE_TRUNCATED;
        // A cut inside the pixels is found by the decoder; the size stands, so the limits can be applied first.
        if (length > count - at - chunk_overhead) return chunks ? MARTLET_IMAGE_OK : MARTLET_IMAGE_TRUNCATED;
        if (tag == TAG('e', 'X', 'I', 'f')) info->orientation = martlet_exif_orientation(body, length);
        info->ended = tag == TAG('I', 'E', 'N', 'D');
        if (info->ended) break;
        at += chunk_overhead + length;
    }
    return chunks ? MARTLET_IMAGE_OK : MARTLET_IMAGE_TRUNCATED;
}

// The file as libpng sees it (the signature, then the chunks it may see), and what a jump must not lose.
struct png_reader {
    const uint8_t *bytes;
    size_t count, at, left;    // `left`: bytes of the current chunk still to hand over
    png_structp png;
    png_infop info;
    uint8_t *scratch;          // RGBA on its way to RGB
    int failure;               // what a jump out of libpng means
};

static bool is_pixel_chunk(uint32_t tag) {
    return tag == TAG('I', 'H', 'D', 'R') || tag == TAG('P', 'L', 'T', 'E') || tag == TAG('t', 'R', 'N', 'S')
        || tag == TAG('I', 'D', 'A', 'T') || tag == TAG('I', 'E', 'N', 'D');
}

static bool next_chunk(struct png_reader *reader) {
    while (reader->count - reader->at >= chunk_overhead) {
        const uint8_t *header = reader->bytes + reader->at;
        size_t room = reader->count - reader->at, length = martlet_big32(header);
        if (is_pixel_chunk(martlet_big32(header + 4))) {
            reader->left = length > room - chunk_overhead ? room : chunk_overhead + length;
            return true;
        }
        if (length > room - chunk_overhead) return false;
        reader->at += chunk_overhead + length;
    }
    return false;
}

static void read_source(png_structp png, png_bytep out, size_t wanted) {
    struct png_reader *reader = png_get_io_ptr(png);
    while (wanted > 0) {
        if (reader->left == 0 && !next_chunk(reader)) {
            reader->failure = MARTLET_IMAGE_TRUNCATED;
            png_error(png, "end of data");
        }
        size_t step = wanted < reader->left ? wanted : reader->left;
        memcpy(out, reader->bytes + reader->at, step);
        out += step;
        wanted -= step;
        reader->at += step;
        reader->left -= step;
    }
}

static void fail(png_structp png, png_const_charp message) {
    (void)message;
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

// One pass: a row at a time. Interlaced: the whole picture in a buffer of its own where it has alpha.
static int read_rows(struct png_reader *reader, size_t width, size_t height, uint8_t *rgb) {
    size_t row_bytes = png_get_rowbytes(reader->png, reader->info);
    bool alpha = row_bytes == width * 4;
    if (!alpha && row_bytes != width * 3) return MARTLET_IMAGE_CORRUPT;
    bool interlaced = png_get_interlace_type(reader->png, reader->info) != PNG_INTERLACE_NONE;
    int passes = interlaced ? 7 : 1;
    if (alpha) {
        reader->scratch = calloc(interlaced ? height : 1, row_bytes);
        if (!reader->scratch) return MARTLET_IMAGE_OUT_OF_MEMORY;
    }
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++) {
            uint8_t *row = alpha ? reader->scratch + (interlaced ? y * row_bytes : 0) : rgb + y * row_bytes;
            png_read_row(reader->png, row, NULL);
            if (alpha && pass == passes - 1) martlet_composite_on_white(row, width, rgb + y * width * 3);
        }
    return MARTLET_IMAGE_OK;
}

// Everything that can jump. Asks for RGB8 or RGBA8 whatever the file holds, without gamma, as Pillow opens
// it: 16-bit samples give their high byte.
static int read_picture(struct png_reader *reader, const struct martlet_image_info *picture, uint8_t *rgb) {
    png_structp png = reader->png;
    if (setjmp(png_jmpbuf(png))) return reader->failure;
    png_set_user_limits(png, picture->width, picture->height);
    png_set_chunk_malloc_max(png, 1 << 20);
    png_set_chunk_cache_max(png, 1);
    png_set_read_fn(png, reader, read_source);
    png_read_info(png, reader->info);
    if (png_get_image_width(png, reader->info) != picture->width
        || png_get_image_height(png, reader->info) != picture->height)
        return MARTLET_IMAGE_CORRUPT;
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    return read_rows(reader, picture->width, picture->height, rgb);
}

int martlet_png_decode(
    const uint8_t *bytes, size_t count, const struct martlet_image_info *picture, uint8_t *rgb
) {
    struct png_reader reader = {
        .bytes = bytes, .count = count, .left = signature_length, .failure = MARTLET_IMAGE_CORRUPT};
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, fail, ignore);
    if (!reader.png) return MARTLET_IMAGE_OUT_OF_MEMORY;
    reader.info = png_create_info_struct(reader.png);
    int status = reader.info ? read_picture(&reader, picture, rgb) : MARTLET_IMAGE_OUT_OF_MEMORY;
    free(reader.scratch);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return status;
}
