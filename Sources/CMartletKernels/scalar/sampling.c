/// What the sampler does over a row of the vocabulary.
#include "../kernels.h"
#include "exponential.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

void martlet_philox_scalar(const uint32_t counter[4], const uint32_t key[2], uint32_t random[4]) {
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < 10; round++) {
        const uint64_t left = (uint64_t)0xD2511F53u * c[0];
        const uint64_t right = (uint64_t)0xCD9E8D57u * c[2];
        c[0] = (uint32_t)(right >> 32) ^ c[1] ^ k[0];
        c[1] = (uint32_t)right;
        c[2] = (uint32_t)(left >> 32) ^ c[3] ^ k[1];
        c[3] = (uint32_t)left;
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    memcpy(random, c, sizeof c);
}

bool martlet_maximum_scalar(const float *x, size_t count, float *maximum) {
    float highest = -INFINITY;
    bool ordered = true;
    for (size_t i = 0; i < count; i++) {
        ordered = ordered && x[i] == x[i];
        highest = x[i] > highest ? x[i] : highest;
    }
    *maximum = highest;
    return ordered;
}

size_t martlet_first_scalar(const float *x, size_t count, float value) {
    for (size_t i = 0; i < count; i++) {
        if (x[i] == value) return i;
    }
    return count;
}

uint64_t martlet_weigh_scalar(const float *x, size_t count, float maximum, float temperature, uint64_t *weights) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const float e = martlet_exponential((x[i] - maximum) / temperature);
        // At this size a double's last bit is worth 1: the sum rounds to an integer, ties to even.
        const double shifted = (double)e * (double)martlet_weight_one + 0x1.8p52;
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        const uint64_t weight = bits & 0x3ffffffffffffu;
        if (weights) weights[i] = weight;
        total += weight;
    }
    return total;
}

void martlet_top_scalar(const float *x, size_t count, size_t wanted, uint32_t *ids) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (found == wanted && !(wanted > 0 && x[i] > x[ids[found - 1]])) continue;
        size_t at = found < wanted ? found++ : found - 1;
        for (; at > 0 && x[i] > x[ids[at - 1]]; at--) ids[at] = ids[at - 1];
        ids[at] = (uint32_t)i;
    }
}

uint64_t martlet_keep_above_scalar(size_t count, uint64_t least, uint64_t *weights) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < least) weights[i] = 0;
        total += weights[i];
    }
    return total;
}

/// Orders as the floats do, both zeros alike.
static uint32_t order(float x) {
    const uint32_t bits = martlet_bits(x + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static uint64_t measure(uint64_t weight, bool by_mass) { return by_mass ? weight : weight > 0; }

/// The order of the token where the measure of the best tokens reaches `*wanted`, found byte by byte (a radix
/// select); `*wanted` becomes what tokens of just this order have still to bring.
static uint32_t threshold(const float *x, size_t count, const uint64_t *weights, bool by_mass, uint64_t *wanted) {
    uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint64_t bins[256] = {0};
        for (size_t i = 0; i < count; i++) {
            const uint32_t at = order(x[i]);
            if (shift < 24 && at >> (shift + 8) != prefix) continue;
            bins[at >> shift & 255] += measure(weights[i], by_mass);
        }
        uint32_t bin = 255;
        for (; bin > 0 && bins[bin] < *wanted; bin--) *wanted -= bins[bin];
        prefix = prefix << 8 | bin;
    }
    return prefix;
}

uint64_t martlet_keep_best_scalar(
    const float *x, size_t count, bool by_mass, uint64_t wanted, uint64_t *weights) {
    const uint32_t last = threshold(x, count, weights, by_mass, &wanted);
    uint64_t total = 0;
    uint64_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t at = order(x[i]);
        if (at == last && taken < wanted) {
            taken += measure(weights[i], by_mass);
        } else if (at <= last) {
            weights[i] = 0;
        }
        total += weights[i];
    }
    return total;
}

size_t martlet_choose_scalar(size_t count, const uint64_t *weights, uint64_t target) {
    uint64_t passed = 0;
    for (size_t i = 0; i < count; i++) {
        passed += weights[i];
        if (passed > target) return i;
    }
    return count;
}
