/// Weights into stored blocks of 32 (MODEL.md 8.4). Written in eight lanes, which any compiler turns into registers: a
/// twin of its own was no faster. The same for every instruction set.
#include "../kernels.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum { LANES = 8, BLOCK = 32 };

/// Ties to even; |x| < 2^22.
static float to_nearest(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

static float clamped(float x, float least, float greatest) {
    return x < least ? least : x > greatest ? greatest : x;
}

static float sum_of_lanes(const float lanes[LANES]) {
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/// The greatest magnitude of a block; an infinity if it holds an infinity or a NaN.
static float magnitude_of(const float *x) {
    uint32_t greatest[LANES] = {0};
    for (size_t i = 0; i < BLOCK; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            uint32_t bits;
            memcpy(&bits, x + i + lane, sizeof bits);
            bits &= 0x7FFFFFFF;
            greatest[lane] = bits > greatest[lane] ? bits : greatest[lane];
        }
    }
    uint32_t all = 0;
    for (size_t lane = 0; lane < LANES; lane++) all = greatest[lane] > all ? greatest[lane] : all;
    if (all >= 0x7F800000) all = 0x7F800000;
    float magnitude;
    memcpy(&magnitude, &all, sizeof magnitude);
    return magnitude;
}

/// How well quants of 4 bits follow a block: the squared error of its best scale is sum(u^2) - gain.
typedef struct fit {
    float gain, scale;
} fit;

/// The fit of the quants nearest to u * inverse, and the scale that is best for them.
static fit fit_of(const float *u, float inverse) {
    float products[LANES] = {0}, squares[LANES] = {0};
    for (size_t i = 0; i < BLOCK; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            const float quant = clamped(to_nearest(u[i + lane] * inverse), -8, 7);
            products[lane] += u[i + lane] * quant;
            squares[lane] += quant * quant;
        }
    }
    const float product = sum_of_lanes(products), square = sum_of_lanes(squares);
    if (!(square > 0)) return (fit){0, 0};
    return (fit){product * product / square, product / square};
}

/// The scale of a Q4_0 block, for u = x / magnitude: the best of eight that put the first value of greatest magnitude
/// between -7 and -9, or 6.5 and 7.5; then of that and the one nearest to its own best scale.
static float scale_q4_0(const float *u) {
    static const float places[] = {-8, -8.5f, -7.5f, -9, -7, 7, 6.5f, 7.5f};
    size_t extreme = 0;
    while (extreme + 1 < BLOCK && (u[extreme] < 0 ? -u[extreme] : u[extreme]) < 1) extreme++;
    const float sign = u[extreme] < 0 ? -1 : 1;
    fit best = {0, 0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const fit found = fit_of(u, sign * places[i]);
        if (found.gain > best.gain) best = found;
    }
    if (best.gain > 0) {
        const fit found = fit_of(u, 1 / best.scale);
        if (found.gain > best.gain) best = found;
    }
    return best.scale;
}

/// One block; false if it is not finite or has no scale as a half.
static bool quantize_block(martlet_dtype dtype, const float *x, uint8_t *block) {
    const float magnitude = magnitude_of(x), divided = 1 / magnitude;
    if (magnitude == __builtin_inff()) return false;
    float scale = 0, u[BLOCK], quants[BLOCK];
    // A scale below 2^-25 is no half but zero.
    if (magnitude > 0x1p-40f && dtype == MARTLET_Q4_0) {
        for (size_t i = 0; i < BLOCK; i++) u[i] = x[i] * divided;
        // The quotient may fall a bit short of 1: the extreme is what it is.
        for (size_t i = 0; i < BLOCK; i++) u[i] = x[i] == magnitude ? 1 : x[i] == -magnitude ? -1 : u[i];
        scale = scale_q4_0(u) * magnitude;
    } else if (magnitude > 0x1p-40f) {
        scale = magnitude / 127;
    }
    uint16_t half;
    martlet_narrow_scalar(MARTLET_F16, &scale, &half, 1);
    if ((half & 0x7C00) == 0x7C00) return false;
    martlet_widen_scalar(MARTLET_F16, &half, &scale, 1);
    memcpy(block, &half, sizeof half);
    const float inverse = scale != 0 ? 1 / scale : 0;
    const float least = dtype == MARTLET_Q4_0 ? -8 : -127, greatest = dtype == MARTLET_Q4_0 ? 7 : 127;
    for (size_t i = 0; i < BLOCK; i++) quants[i] = clamped(to_nearest(x[i] * inverse), least, greatest);
    if (dtype == MARTLET_Q4_0) {
        for (size_t i = 0; i < 16; i++) block[2 + i] = (uint8_t)((int)quants[i] + 8 + ((int)quants[16 + i] + 8) * 16);
    } else {
        for (size_t i = 0; i < BLOCK; i++) block[2 + i] = (uint8_t)(int)quants[i];
    }
    return true;
}

bool martlet_quantize_blocks_scalar(martlet_dtype dtype, const float *x, void *y, size_t count) {
    uint8_t *block = y;
    for (size_t i = 0; i < count; i += BLOCK, block += martlet_block_bytes(dtype)) {
        if (!quantize_block(dtype, x + i, block)) return false;
    }
    return true;
}
