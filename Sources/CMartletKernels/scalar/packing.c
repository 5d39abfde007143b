/// Weights into panels: bytes move, values stay. The same for every instruction set.
#include "../kernels.h"

#include <string.h>

/// A run of equal items in a block.
typedef struct field {
    uint8_t item_bytes;
    uint8_t count;
} field;

/// The fields of one block in order (MODEL.md 8.4); an item count of 0 ends the list. Quants move four at a time.
static const field block_fields[][4] = {
    [MARTLET_F32] = {{4, 1}},
    [MARTLET_F16] = {{2, 1}},
    [MARTLET_BF16] = {{2, 1}},
    [MARTLET_Q4_0] = {{2, 1}, {4, 4}},
    [MARTLET_Q4_1] = {{2, 2}, {4, 4}},
    [MARTLET_Q5_0] = {{2, 1}, {4, 1}, {4, 4}},
    [MARTLET_Q5_1] = {{2, 2}, {4, 1}, {4, 4}},
    [MARTLET_Q8_0] = {{2, 1}, {4, 8}},
    [MARTLET_Q4_K] = {{2, 2}, {1, 12}, {4, 32}},
    [MARTLET_Q5_K] = {{2, 2}, {1, 12}, {4, 8}, {4, 32}},
    [MARTLET_Q6_K] = {{4, 32}, {4, 16}, {1, 16}, {2, 1}},
};

/// Items of `bytes` each from up to 16 rows to [count][16]; `bytes` is a constant where this is called.
__attribute__((always_inline)) static inline void interleave(
    const char *source, size_t stride, size_t rows, size_t count, size_t bytes, char *target) {
    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; row < rows; row++) {
            memcpy(target + row * bytes, source + row * stride + i * bytes, bytes);
        }
        memset(target + rows * bytes, 0, (MARTLET_PANEL_ROWS - rows) * bytes);
        target += MARTLET_PANEL_ROWS * bytes;
    }
}

static void interleave_items(
    const char *source, size_t stride, size_t rows, size_t count, size_t bytes, char *target) {
    switch (bytes) {
    case 1: interleave(source, stride, rows, count, 1, target); break;
    case 2: interleave(source, stride, rows, count, 2, target); break;
    default: interleave(source, stride, rows, count, 4, target); break;
    }
}

void martlet_pack_panel_scalar(
    martlet_dtype dtype, const void *source, size_t stride, size_t rows, size_t columns, void *panel) {
    const char *from = source;
    char *to = panel;
    const field *fields = block_fields[dtype];
    if (martlet_block_elements(dtype) == 1) {
        interleave_items(from, stride, rows, columns, fields[0].item_bytes, to);
        return;
    }
    for (size_t block = 0; block < columns / martlet_block_elements(dtype); block++) {
        for (size_t f = 0; f < 4 && fields[f].count > 0; f++) {
            const size_t bytes = (size_t)fields[f].item_bytes * fields[f].count;
            interleave_items(from, stride, rows, fields[f].count, fields[f].item_bytes, to);
            from += bytes;
            to += bytes * MARTLET_PANEL_ROWS;
        }
    }
}
