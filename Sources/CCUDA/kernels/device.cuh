// What kernels are written in: the only file with PTX and the compiler's intrinsics. It has two bodies, one for NVRTC
// (no header of CUDA is needed) and one for the emulation on the host, which tests the same kernels without a GPU.
//
// A kernel's body is a device function, a template where operand types differ; KERNEL gives it a name to launch:
//
//     template <class T> DEVICE void scale(const float *x, float factor, T *y, i32 count) {
//         const i32 index = i32(blockIdx.x * blockDim.x + threadIdx.x);
//         if (index < count) y[index] = narrow<T>(x[index] * factor);
//     }
//     KERNEL(scale_f32, 256, 4, scale<float>)
//     KERNEL(scale_f16, 256, 4, scale<f16>)
//
// KERNEL(name, threads, parameters, body): blocks have at most `threads` threads, in whole warps, one dimension; the
// body takes `parameters` parameters (to 24). Everything is compiled without contraction: only fmaf fuses.
#ifndef MARTLET_DEVICE_CUH
#define MARTLET_DEVICE_CUH

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;

/// Halves, as their bits; `widen` and `narrow` convert.
struct f16 {
    u16 bits;
};
struct bf16 {
    u16 bits;
};

/// What one 16-byte load brings.
struct alignas(16) vec4 {
    u32 x, y, z, w;
};

#ifdef MARTLET_EMULATED
#include "device_emulation.h"
#else
#include "device_ptx.cuh"
#endif

DEVICE float widen(float x) { return x; }
DEVICE float widen(bf16 x) { return float_of(u32(x.bits) << 16); }

/// To the nearest, ties to even; what is too large becomes infinite, NaN stays NaN.
template <class T> DEVICE T narrow(float x);
template <> DEVICE float narrow<float>(float x) { return x; }
template <> DEVICE f16 narrow<f16>(float x) { return f16{half_bits(x)}; }
template <> DEVICE bf16 narrow<bf16>(float x) { return bf16{bfloat_bits(x)}; }

/// Two narrowed values in one word, `low` in the lower half.
template <class T> DEVICE u32 narrow2(float low, float high);
template <> DEVICE u32 narrow2<f16>(float low, float high) { return half_bits_2(low, high); }
template <> DEVICE u32 narrow2<bf16>(float low, float high) { return bfloat_bits_2(low, high); }

/// The two values of a word.
template <class T> DEVICE float widen_low(u32 pair) { return widen(T{u16(pair & 0xffff)}); }
template <class T> DEVICE float widen_high(u32 pair) { return widen(T{u16(pair >> 16)}); }

/// Place in the warp, and the warp's in the block.
DEVICE i32 lane() { return i32(threadIdx.x & 31); }
DEVICE i32 warp() { return i32(threadIdx.x >> 5); }

/// The sum over the warp, in every lane; pairs are added by distance 16, 8, 4, 2, 1.
DEVICE float warp_sum(float x) {
    for (i32 distance = 16; distance > 0; distance >>= 1) x += shuffle_xor(x, distance);
    return x;
}

/// The greatest over the warp, in every lane.
DEVICE float warp_max(float x) {
    for (i32 distance = 16; distance > 0; distance >>= 1) x = fmaxf(x, shuffle_xor(x, distance));
    return x;
}

/// e^x with the bits of the CPU's kernels (D12; see exponential.h among them): within 1 ulp, subnormals included.
DEVICE float exponential(float x) {
    const float rounder = 0x1.8p+23f;
    float clamped = x < -104.0f ? -104.0f : x;
    clamped = clamped > 89.0f ? 89.0f : clamped;
    const float shifted = fmaf(clamped, 0x1.715476p+0f, rounder);
    const float n = subtract_rounded(shifted, rounder);
    float r = fmaf(n, -0x1.62e43p-1f, clamped);
    r = fmaf(n, 0x1.05c61p-29f, r);
    float q = fmaf(0x1.6a1a8ep-10f, r, 0x1.123fb4p-7f);
    q = fmaf(q, r, 0x1.555916p-5f);
    q = fmaf(q, r, 0x1.55548ap-3f);
    q = fmaf(q, r, 0x1.fffffcp-2f);
    const float mantissa = add_rounded(fmaf(q, multiply_rounded(r, r), r), 1.0f);
    // 2^n in two factors, so that neither overflows and the product may be subnormal.
    const i32 exponent = i32(bits_of(shifted) - bits_of(rounder));
    const i32 half = exponent >> 1;
    const float first = float_of(u32(half + 127) << 23);
    const float second = float_of(u32(exponent - half + 127) << 23);
    return multiply_rounded(multiply_rounded(mantissa, first), second);
}

#endif
