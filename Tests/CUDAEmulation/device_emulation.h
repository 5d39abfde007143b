// device.cuh's body on the host. Every CUDA thread is a fibre; what concerns a block is done in block.h, what concerns
// a warp in warp.h. Types and the meaning of the functions: device.cuh and device_ptx.cuh.
#ifndef MARTLET_DEVICE_EMULATION_H
#define MARTLET_DEVICE_EMULATION_H
#include <math.h>

#include <cstddef>
#include <cstring>

#include "kernel_registry.h"

namespace emulation {

struct index3 {
    u32 x, y, z;
};

/// Where the fibre that runs stands.
struct place {
    index3 thread, block, block_size, grid_size;
};
extern __thread const place *current_place;
inline const place &here() { return *current_place; }

void sync_block();
/// Each a rendezvous of the warp's 32 lanes.
void sync_warp();
u64 shuffle(u64 value, u32 source);
u32 ballot(bool is_true);
void multiply_fragments(float d[4], const u32 a[4], const u32 b[2], float (*widen)(u16));
void load_matrices(u32 *r, int count, const void *row, bool is_transposed);

void copy_async(void *shared, const void *global, bool is_valid);
void copy_async_commit();
void copy_async_wait(int latest);

/// The block's memory for a SHARED variable, the same for each thread; `tag` tells variables apart.
void *shared_place(const void *tag, size_t size, size_t alignment);
void *dynamic_shared();

template <class Shape, class Tag> Shape &shared_variable(Tag) {
    static const char tag = 0;
    return *static_cast<Shape *>(shared_place(&tag, sizeof(Shape), alignof(Shape)));
}

template <class T> T shuffled(T value, u32 source) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move words of 4 or 8 bytes");
    u64 bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = shuffle(bits, source);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace emulation

#define threadIdx (emulation::here().thread)
#define blockIdx (emulation::here().block)
#define blockDim (emulation::here().block_size)
#define gridDim (emulation::here().grid_size)

// Internal linkage: two .cu files may each have a function of the same name.
#define DEVICE __attribute__((internal_linkage, unused)) inline

#define SHARED(type, name, ...)               \
    using name##_shape = type __VA_ARGS__;    \
    name##_shape &name = emulation::shared_variable<name##_shape>([] {})

#define DYNAMIC_SHARED(type, name) type *const name = static_cast<type *>(emulation::dynamic_shared())

#define RESIDENT(threads, blocks) threads

#define KERNEL(name, threads, parameters, ...)                                                         \
    static const emulation::registration name##_registration(#name, __FILE__, threads, &::__VA_ARGS__, \
                                                             emulation::count<parameters>());

template <class T> DEVICE T min(T a, T b) { return b < a ? b : a; }
template <class T> DEVICE T max(T a, T b) { return a < b ? b : a; }

DEVICE u32 bits_of(float x) {
    u32 bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
DEVICE float float_of(u32 bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

DEVICE float multiply_rounded(float a, float b) { return a * b; }
DEVICE float add_rounded(float a, float b) { return a + b; }
DEVICE float subtract_rounded(float a, float b) { return a - b; }
DEVICE float divide_rounded(float a, float b) { return a / b; }

DEVICE u16 half_bits(float x) {
    const u32 bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return 0x7fff;
    if (magnitude >= 0x477ff000) return u16(sign | 0x7c00);
    // Added to a half, the last bit is worth 2^-24, a subnormal's unit: the sum rounds to it.
    if (magnitude < 0x38800000) return u16(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
    return u16(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

DEVICE u32 half_bits_2(float low, float high) { return u32(half_bits(low)) | u32(half_bits(high)) << 16; }

DEVICE u16 bfloat_bits(float x) {
    const u32 bits = bits_of(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
DEVICE u32 bfloat_bits_2(float low, float high) { return u32(bfloat_bits(low)) | u32(bfloat_bits(high)) << 16; }

DEVICE float power_of_two(float x) { return exp2f(x); }

DEVICE float widen(f16 x) {
    const u32 magnitude = u32(x.bits & 0x7fff) << 13, sign = u32(x.bits & 0x8000) << 16;
    const u32 wide = bits_of(float_of(magnitude) * 0x1p112f);
    return float_of(sign | (magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : wide));
}

DEVICE vec4 load_once(const void *address) { return *static_cast<const vec4 *>(address); }

DEVICE i32 afresh(i32 x) { return x; }

DEVICE void sync_block() { emulation::sync_block(); }
DEVICE void sync_warp() { emulation::sync_warp(); }

template <class T> DEVICE T shuffle(T value, i32 source) { return emulation::shuffled(value, u32(source) & 31); }
template <class T> DEVICE T shuffle_xor(T value, i32 mask) {
    return emulation::shuffled(value, (threadIdx.x & 31) ^ (u32(mask) & 31));
}
template <class T> DEVICE T shuffle_down(T value, i32 n) {
    const u32 own = threadIdx.x & 31, source = own + u32(n);
    return emulation::shuffled(value, source < 32 ? source : own);
}
template <class T> DEVICE T shuffle_up(T value, i32 n) {
    const u32 own = threadIdx.x & 31;
    return emulation::shuffled(value, own >= u32(n) ? own - u32(n) : own);
}
DEVICE u32 ballot(bool is_true) { return emulation::ballot(is_true); }

DEVICE u32 select_bytes(u32 low, u32 high, u32 selector) {
    const u64 bytes = u64(high) << 32 | low;
    u32 selected = 0;
    for (int byte = 0; byte < 4; byte++) {
        selected |= u32(bytes >> 8 * (selector >> 4 * byte & 7) & 0xff) << 8 * byte;
    }
    return selected;
}

/// Toward zero, with an odd last bit where that is not exact: what is narrowed from it is rounded as if once.
DEVICE float rounded_to_odd(double x) {
    float nearest = float(x);
    if (fabs(double(nearest)) > fabs(x)) nearest = nextafterf(nearest, 0);
    return double(nearest) == x ? nearest : float_of(bits_of(nearest) | 1);
}
DEVICE float multiply_add_odd(float a, float b, float c) { return rounded_to_odd(double(a) * double(b) + double(c)); }

template <class T> DEVICE u32 multiply_add_2(u32 a, u32 b, u32 c);
template <> DEVICE u32 multiply_add_2<f16>(u32 a, u32 b, u32 c) {
    const auto half = [](u32 bits) { return widen(f16{u16(bits)}); };
    return half_bits_2(multiply_add_odd(half(a), half(b), half(c)),
                       multiply_add_odd(half(a >> 16), half(b >> 16), half(c >> 16)));
}
template <> DEVICE u32 multiply_add_2<bf16>(u32 a, u32 b, u32 c) {
    const auto low = [](u32 bits) { return float_of(bits << 16); };
    const auto high = [](u32 bits) { return float_of(bits & 0xffff0000); };
    return bfloat_bits_2(multiply_add_odd(low(a), low(b), low(c)), multiply_add_odd(high(a), high(b), high(c)));
}

DEVICE i32 bit_count(u32 x) { return __builtin_popcount(x); }
DEVICE i32 leading_zeros(u32 x) { return x ? __builtin_clz(x) : 32; }

DEVICE i32 dp4a(i32 a, i32 b, i32 c) {
    for (int byte = 0; byte < 4; byte++) c += i32(i8(a >> 8 * byte)) * i32(i8(b >> 8 * byte));
    return c;
}

DEVICE u32 atomic_add(u32 *place, u32 value) { return __atomic_fetch_add(place, value, __ATOMIC_RELAXED); }
DEVICE u64 atomic_add(u64 *place, u64 value) { return __atomic_fetch_add(place, value, __ATOMIC_RELAXED); }
DEVICE float atomic_add(float *place, float value) {
    float before, after;
    __atomic_load(place, &before, __ATOMIC_RELAXED);
    do after = before + value;
    while (!__atomic_compare_exchange(place, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}
DEVICE u32 atomic_max(u32 *place, u32 value) { return __atomic_fetch_max(place, value, __ATOMIC_RELAXED); }
DEVICE u64 atomic_max(u64 *place, u64 value) { return __atomic_fetch_max(place, value, __ATOMIC_RELAXED); }
DEVICE u32 atomic_min(u32 *place, u32 value) { return __atomic_fetch_min(place, value, __ATOMIC_RELAXED); }

DEVICE void fence_device() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

template <class T> DEVICE void mma_16x8x16(float d[4], const u32 a[4], const u32 b[2]);
template <> DEVICE void mma_16x8x16<f16>(float d[4], const u32 a[4], const u32 b[2]) {
    emulation::multiply_fragments(d, a, b, [](u16 bits) { return widen(f16{bits}); });
}
template <> DEVICE void mma_16x8x16<bf16>(float d[4], const u32 a[4], const u32 b[2]) {
    emulation::multiply_fragments(d, a, b, [](u16 bits) { return float_of(u32(bits) << 16); });
}

DEVICE void load_matrix_4(u32 r[4], const void *row) { emulation::load_matrices(r, 4, row, false); }
DEVICE void load_matrix_4_transposed(u32 r[4], const void *row) { emulation::load_matrices(r, 4, row, true); }
DEVICE void load_matrix_2(u32 r[2], const void *row) { emulation::load_matrices(r, 2, row, false); }
DEVICE void load_matrix_2_transposed(u32 r[2], const void *row) { emulation::load_matrices(r, 2, row, true); }

DEVICE void copy_async_16(void *shared, const void *global, bool is_valid) {
    emulation::copy_async(shared, global, is_valid);
}
DEVICE void copy_async_commit() { emulation::copy_async_commit(); }
template <int N> DEVICE void copy_async_wait() { emulation::copy_async_wait(N); }

#endif
