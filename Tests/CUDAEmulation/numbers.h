// Elements of the types that libraries compute with.
#ifndef MARTLET_NUMBERS_H
#define MARTLET_NUMBERS_H
#include "device.cuh"

namespace emulation {

enum class element { f32, f16, bf16, i32, i8, e4m3 };

inline size_t size_of(element type) {
    return type == element::f32 || type == element::i32 ? 4 : type == element::i8 || type == element::e4m3 ? 1 : 2;
}

/// A float of 4 bits of exponent and 3 of fraction; without a sign 127 is no number.
inline float value_of_e4m3(u8 bits) {
    const int exponent = bits >> 3 & 15, fraction = bits & 7;
    if ((bits & 127) == 127) return NAN;
    const float size = exponent ? ldexpf(float(8 + fraction), exponent - 10) : ldexpf(float(fraction), -9);
    return bits & 128 ? -size : size;
}

/// Integers lose what float does not hold.
inline float read_element(element type, const void *start, size_t index) {
    switch (type) {
    case element::f32: return static_cast<const float *>(start)[index];
    case element::f16: return widen(static_cast<const f16 *>(start)[index]);
    case element::bf16: return widen(static_cast<const bf16 *>(start)[index]);
    case element::i32: return float(static_cast<const i32 *>(start)[index]);
    case element::i8: return float(static_cast<const i8 *>(start)[index]);
    case element::e4m3: return value_of_e4m3(static_cast<const u8 *>(start)[index]);
    }
}

inline void write_element(element type, void *start, size_t index, float value) {
    switch (type) {
    case element::f32: static_cast<float *>(start)[index] = value; break;
    case element::f16: static_cast<f16 *>(start)[index] = narrow<f16>(value); break;
    case element::bf16: static_cast<bf16 *>(start)[index] = narrow<bf16>(value); break;
    case element::i32: static_cast<i32 *>(start)[index] = i32(value); break;
    case element::i8: static_cast<i8 *>(start)[index] = i8(value); break;
    case element::e4m3: __builtin_trap();  // No library writes it here.
    }
}

}  // namespace emulation
#endif
