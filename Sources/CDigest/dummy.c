#include "CDummy.h"
#include <string.h>

// Doubles must not become fused operations: the values are checked bit for bit.
#pragma STDC FP_CONTRACT OFF

static inline float value(const martlet_dummy_rule *rule, uint64_t index) {
    uint64_t z = rule->hash + (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    double u = (double)(int64_t)(z >> 40) * 0x1p-24 - 0.5;
    return (float)(rule->offset + u * rule->factor / rule->divisor);
}

static inline uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// Finite values only.
static inline uint16_t to_bf16(float x) {
    uint32_t u = bits(x);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

// |x| < 65504. Normal results round in the integer domain, subnormal ones by an addition that aligns them.
static inline uint16_t to_f16(float x) {
    uint32_t u = bits(x);
    uint32_t sign = u >> 16 & 0x8000;
    uint32_t magnitude = u & 0x7FFFFFFF;
    uint32_t normal = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
    uint32_t tiny = bits(from_bits(magnitude) + 0.5f) - bits(0.5f);
    return (uint16_t)(sign | (magnitude < 0x38800000 ? tiny : normal));
}

void martlet_dummy_fill(const martlet_dummy_rule *given, uint64_t first, size_t count, void *out) {
    const martlet_dummy_rule rule = *given;
    switch (rule.format) {
    case MARTLET_DUMMY_F32: {
        float *target = out;
        for (size_t i = 0; i < count; i++) target[i] = value(&rule, first + i);
        break;
    }
    case MARTLET_DUMMY_F16: {
        uint16_t *target = out;
        for (size_t i = 0; i < count; i++) target[i] = to_f16(value(&rule, first + i));
        break;
    }
    case MARTLET_DUMMY_BF16: {
        uint16_t *target = out;
        for (size_t i = 0; i < count; i++) target[i] = to_bf16(value(&rule, first + i));
        break;
    }
    }
}
