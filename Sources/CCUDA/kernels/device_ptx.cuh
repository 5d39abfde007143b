// device.cuh's body for GPUs from sm_80 on, as NVRTC compiles it.
#ifndef MARTLET_DEVICE_PTX_CUH
#define MARTLET_DEVICE_PTX_CUH

#define DEVICE __device__ __forceinline__

/// Static shared memory, one a block: SHARED(float, tile, [4][32]).
#define SHARED(type, name, ...) __shared__ type name __VA_ARGS__

/// The shared memory whose size the launch gives, aligned to 16 bytes; one a kernel.
#define DYNAMIC_SHARED(type, name)                             \
    extern __shared__ __align__(16) u8 martlet_dynamic_shared[]; \
    type *const name = (type *)martlet_dynamic_shared

template <int N, class F> struct parameter_of;
template <class First, class... Rest> struct parameter_of<0, void (*)(First, Rest...)> {
    using type = First;
};
template <int N, class First, class... Rest>
struct parameter_of<N, void (*)(First, Rest...)> : parameter_of<N - 1, void (*)(Rest...)> {};

// Lists of n typed parameters, and of n arguments: a C function cannot have a template's parameter pack.
#define MARTLET_P(f, n) parameter_of<n, f>::type p##n
#define MARTLET_P1(f) MARTLET_P(f, 0)
#define MARTLET_P2(f) MARTLET_P1(f), MARTLET_P(f, 1)
#define MARTLET_P3(f) MARTLET_P2(f), MARTLET_P(f, 2)
#define MARTLET_P4(f) MARTLET_P3(f), MARTLET_P(f, 3)
#define MARTLET_P5(f) MARTLET_P4(f), MARTLET_P(f, 4)
#define MARTLET_P6(f) MARTLET_P5(f), MARTLET_P(f, 5)
#define MARTLET_P7(f) MARTLET_P6(f), MARTLET_P(f, 6)
#define MARTLET_P8(f) MARTLET_P7(f), MARTLET_P(f, 7)
#define MARTLET_P9(f) MARTLET_P8(f), MARTLET_P(f, 8)
#define MARTLET_P10(f) MARTLET_P9(f), MARTLET_P(f, 9)
#define MARTLET_P11(f) MARTLET_P10(f), MARTLET_P(f, 10)
#define MARTLET_P12(f) MARTLET_P11(f), MARTLET_P(f, 11)
#define MARTLET_P13(f) MARTLET_P12(f), MARTLET_P(f, 12)
#define MARTLET_P14(f) MARTLET_P13(f), MARTLET_P(f, 13)
#define MARTLET_P15(f) MARTLET_P14(f), MARTLET_P(f, 14)
#define MARTLET_P16(f) MARTLET_P15(f), MARTLET_P(f, 15)
#define MARTLET_P17(f) MARTLET_P16(f), MARTLET_P(f, 16)
#define MARTLET_P18(f) MARTLET_P17(f), MARTLET_P(f, 17)
#define MARTLET_P19(f) MARTLET_P18(f), MARTLET_P(f, 18)
#define MARTLET_P20(f) MARTLET_P19(f), MARTLET_P(f, 19)
#define MARTLET_P21(f) MARTLET_P20(f), MARTLET_P(f, 20)
#define MARTLET_P22(f) MARTLET_P21(f), MARTLET_P(f, 21)
#define MARTLET_P23(f) MARTLET_P22(f), MARTLET_P(f, 22)
#define MARTLET_P24(f) MARTLET_P23(f), MARTLET_P(f, 23)
#define MARTLET_A1 p0
#define MARTLET_A2 MARTLET_A1, p1
#define MARTLET_A3 MARTLET_A2, p2
#define MARTLET_A4 MARTLET_A3, p3
#define MARTLET_A5 MARTLET_A4, p4
#define MARTLET_A6 MARTLET_A5, p5
#define MARTLET_A7 MARTLET_A6, p6
#define MARTLET_A8 MARTLET_A7, p7
#define MARTLET_A9 MARTLET_A8, p8
#define MARTLET_A10 MARTLET_A9, p9
#define MARTLET_A11 MARTLET_A10, p10
#define MARTLET_A12 MARTLET_A11, p11
#define MARTLET_A13 MARTLET_A12, p12
#define MARTLET_A14 MARTLET_A13, p13
#define MARTLET_A15 MARTLET_A14, p14
#define MARTLET_A16 MARTLET_A15, p15
#define MARTLET_A17 MARTLET_A16, p16
#define MARTLET_A18 MARTLET_A17, p17
#define MARTLET_A19 MARTLET_A18, p18
#define MARTLET_A20 MARTLET_A19, p19
#define MARTLET_A21 MARTLET_A20, p20
#define MARTLET_A22 MARTLET_A21, p21
#define MARTLET_A23 MARTLET_A22, p22
#define MARTLET_A24 MARTLET_A23, p23

/// In place of KERNEL's `threads`: so many, of `blocks` blocks that a multiprocessor holds at once. The compiler gives
/// a thread the registers that this leaves, neither more nor, to hold yet more blocks, fewer.
#define RESIDENT(threads, blocks) threads, blocks

/// The launchable `name` of a body; see device.cuh. In a namespace, so that body and kernel may share a name.
#define KERNEL(name, threads, parameters, ...)                                                                 \
    namespace kernels {                                                                                        \
    using name##_body = decltype(&::__VA_ARGS__);                                                              \
    extern "C" __global__ void __launch_bounds__(threads) name(MARTLET_P##parameters(name##_body)) {           \
        ::__VA_ARGS__(MARTLET_A##parameters);                                                                  \
    }                                                                                                          \
    }

DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }

/// One rounding each, never contracted.
DEVICE float multiply_rounded(float a, float b) { return __fmul_rn(a, b); }
DEVICE float add_rounded(float a, float b) { return __fadd_rn(a, b); }
DEVICE float subtract_rounded(float a, float b) { return __fsub_rn(a, b); }
DEVICE float divide_rounded(float a, float b) { return __fdiv_rn(a, b); }

DEVICE u16 half_bits(float x) {
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

DEVICE u32 half_bits_2(float low, float high) {
    u32 bits;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}
DEVICE u16 bfloat_bits(float x) {
    u16 bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
DEVICE u32 bfloat_bits_2(float low, float high) {
    u32 bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

/// 2^x by the hardware's approximation, within 2 ulp; subnormal results are 0.
DEVICE float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE float widen(f16 x) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
}

/// What `address` (a multiple of 16) holds, past the first-level cache: for weights, which are read once.
DEVICE vec4 load_once(const void *address) {
    vec4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address));
    return v;
}

/// x. What is computed from it is computed anew each time, not kept in registers over a loop.
DEVICE i32 afresh(i32 x) {
    asm volatile("" : "+r"(x));
    return x;
}

DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp() { __syncwarp(); }

/// What other lanes hold: lane `source`; lane() ^ mask; lane() + n and lane() - n, or the own value where there is no
/// such lane. Every lane of the warp takes part in these and in `ballot`. T: float, i32, u32, i64, u64.
template <class T> DEVICE T shuffle(T value, i32 source) { return __shfl_sync(0xffffffff, value, source); }
template <class T> DEVICE T shuffle_xor(T value, i32 mask) { return __shfl_xor_sync(0xffffffff, value, mask); }
template <class T> DEVICE T shuffle_down(T value, i32 n) { return __shfl_down_sync(0xffffffff, value, n); }
template <class T> DEVICE T shuffle_up(T value, i32 n) { return __shfl_up_sync(0xffffffff, value, n); }

/// Bit i: whether lane i says so.
DEVICE u32 ballot(bool is_true) { return __ballot_sync(0xffffffff, is_true); }

/// Byte i of the result is the byte that the selector's nibble i names: 0 to 3 of `low`, 4 to 7 of `high`.
DEVICE u32 select_bytes(u32 low, u32 high, u32 selector) { return __byte_perm(low, high, selector); }

/// a * b + c in both halves of the words, rounded once each. T: f16, bf16.
template <class T> DEVICE u32 multiply_add_2(u32 a, u32 b, u32 c);
template <> DEVICE u32 multiply_add_2<f16>(u32 a, u32 b, u32 c) {
    u32 d;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}
template <> DEVICE u32 multiply_add_2<bf16>(u32 a, u32 b, u32 c) {
    u32 d;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}

DEVICE i32 bit_count(u32 x) { return __popc(x); }
DEVICE i32 leading_zeros(u32 x) { return __clz(i32(x)); }

/// c + the four products of the signed bytes of a and b.
DEVICE i32 dp4a(i32 a, i32 b, i32 c) { return __dp4a(a, b, c); }

/// Each gives what was there before.
DEVICE u32 atomic_add(u32 *place, u32 value) { return atomicAdd(place, value); }
DEVICE u64 atomic_add(u64 *place, u64 value) { return atomicAdd(place, value); }
DEVICE float atomic_add(float *place, float value) { return atomicAdd(place, value); }
DEVICE u32 atomic_max(u32 *place, u32 value) { return atomicMax(place, value); }
DEVICE u64 atomic_max(u64 *place, u64 value) { return atomicMax(place, value); }
DEVICE u32 atomic_min(u32 *place, u32 value) { return atomicMin(place, value); }

/// What this thread wrote is seen by the device's other blocks before what it writes next.
DEVICE void fence_device() { __threadfence(); }

/// d += a b, f32 sums, over the warp: a [16, 16], b [16, 8], d [16, 8] in the fragments of m16n8k16 (PTX). With
/// g = lane() / 4 and t = lane() % 4: a[0..3] hold columns 2t, 2t + 1 of rows g and g + 8, then columns 2t + 8, 2t + 9
/// of them; b[0..1] rows 2t, 2t + 1 and 2t + 8, 2t + 9 of column g; d[0..1] columns 2t, 2t + 1 of row g, d[2..3] of
/// row g + 8.
template <class T> DEVICE void mma_16x8x16(float d[4], const u32 a[4], const u32 b[2]);
template <> DEVICE void mma_16x8x16<f16>(float d[4], const u32 a[4], const u32 b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <> DEVICE void mma_16x8x16<bf16>(float d[4], const u32 a[4], const u32 b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// ldmatrix: matrices of 8 x 8 halves from shared memory. Lanes 8 m to 8 m + 7 name the rows of matrix m (16 bytes,
/// aligned); r[m] gets elements 2t, 2t + 1 of its row g (transposed: rows 2t, 2t + 1 of its column g).
DEVICE void load_matrix_4(u32 r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(u32(__cvta_generic_to_shared(row)))
                 : "memory");
}
DEVICE void load_matrix_4_transposed(u32 r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(u32(__cvta_generic_to_shared(row)))
                 : "memory");
}
DEVICE void load_matrix_2(u32 r[2], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(u32(__cvta_generic_to_shared(row)))
                 : "memory");
}
DEVICE void load_matrix_2_transposed(u32 r[2], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(u32(__cvta_generic_to_shared(row)))
                 : "memory");
}

/// 16 bytes from global to shared memory (both aligned to 16), or zeros where not `is_valid`, in the background.
DEVICE void copy_async_16(void *shared, const void *global, bool is_valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(u32(__cvta_generic_to_shared(shared))),
                 "l"(global), "r"(is_valid ? 16 : 0)
                 : "memory");
}
/// Ends a group of this thread's copies.
DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until all but the latest N groups of this thread have arrived; other threads see them after a barrier.
template <int N> DEVICE void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

#endif
