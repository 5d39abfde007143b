#include "twins.h"

static const size_t counts[] = {0, 1, 3, 4, 7, 8, 9, 15, 31, 33, 100};
enum { COUNTS = sizeof counts / sizeof counts[0], MOST = 100, HALVES = 1 << 16 };

/// Floats of every kind: any bits, and those whose rounding to f16 or bf16 is close.
static void fill_with_bits(uint32_t *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = next_random();
        switch (bits % 5) {
        case 0: x[i] = bits; break;
        case 1: x[i] = (bits & 0x8FFFE000) + 0x38000000 + 0x1000 + (bits >> 2 & 2) - 1; break;
        case 2: x[i] = (bits & 0xFFFF0000) + 0x8000 + (bits >> 2 & 2) - 1; break;
        case 3: x[i] = (bits & 0x83FFFFFF) + 0x30000000; break;
        // NaN with and without the quiet bit, and infinities.
        default: x[i] = bits % 7 == 0 ? 0x7F800000 : (bits | 0x7F800000) & ~(bits << 3 & 0x400000); break;
        }
    }
}

static void narrow_case(martlet_dtype dtype, size_t count) {
    uint32_t *x = memory(MOST * 4);
    fill_with_bits(x, MOST);
    output y = make_output(MOST * 4 + 64);
    uint64_t results[2] = {0};
    if (!counting) {
        // One element on: of any alignment.
        const size_t offset = dtype == MARTLET_F32 ? 4 : 2;
        results[0] = truth->narrow(dtype, (float *)x, y.truth + offset, count);
        results[1] = twin->narrow(dtype, (float *)x, y.twin + offset, count);
    }
    compare(y, "narrow %s, %zu", type_names[dtype], count);
    compare_values(results[0], results[1], "narrow %s, %zu: whether it fits", type_names[dtype], count);
    free(x);
}

static void store_case(martlet_dtype dtype, size_t count, size_t stride) {
    float *x = memory(MOST * sizeof *x);
    fill(x, MOST);
    output y = make_output(MOST * 4 * 5);
    if (!counting) {
        truth->store(dtype, x, y.truth, stride, count);
        twin->store(dtype, x, y.twin, stride, count);
    }
    compare(y, "store %s, %zu by %zu", type_names[dtype], count, stride);
    free(x);
}

/// Ordinary numbers, next to nothing, with ties, and not finite.
static void store_int8_case(size_t count, size_t stride, size_t kind) {
    float *x = memory(MOST * sizeof *x);
    fill(x, MOST);
    for (size_t i = 0; i < MOST; i++) {
        if (kind == 1) x[i] *= 1e-37f;
        if (kind == 2) x[i] = i % 16 == 0 ? 127 : (float)(int)(x[i] * 254) / 2;
    }
    if (kind == 3) x[count / 2] = next_random() % 2 ? __builtin_inff() : __builtin_nanf("");
    output y = make_output(MOST * 5);
    float scales[2] = {0};
    uint32_t words[2];
    if (!counting) {
        scales[0] = truth->store_int8(x, (int8_t *)y.truth, stride, count);
        scales[1] = twin->store_int8(x, (int8_t *)y.twin, stride, count);
    }
    memcpy(words, scales, sizeof words);
    compare(y, "store_int8 %zu by %zu", count, stride);
    compare_values(words[0], words[1], "store_int8 %zu by %zu: the scale", count, stride);
    free(x);
}

/// Every half there is.
static void widen_case(martlet_dtype dtype, size_t first, size_t count) {
    uint16_t *x = memory(HALVES * 2);
    for (size_t i = 0; i < HALVES; i++) x[i] = (uint16_t)i;
    output y = make_output(count * 4 + 64);
    if (!counting) {
        truth->widen(dtype, x + first, (float *)y.truth, count);
        twin->widen(dtype, x + first, (float *)y.twin, count);
    }
    compare(y, "widen %s, %zu from %zu", type_names[dtype], count, first);
    free(x);
}

void conversion_cases(void) {
    for (size_t i = 0; i < COUNTS; i++) {
        for (size_t kind = 0; kind < 4 && counts[i] > 0; kind++) {
            store_int8_case(counts[i], 1, kind);
            store_int8_case(counts[i], 5, kind);
        }
    }
    for (martlet_dtype dtype = MARTLET_F32; dtype <= MARTLET_BF16; dtype++) {
        for (size_t i = 0; i < COUNTS; i++) {
            for (size_t again = 0; again < 8; again++) narrow_case(dtype, counts[i]);
            store_case(dtype, counts[i], 1);
            store_case(dtype, counts[i], 5);
            widen_case(dtype, 3, counts[i]);
        }
        if (dtype != MARTLET_F32) widen_case(dtype, 0, HALVES);
    }
}
