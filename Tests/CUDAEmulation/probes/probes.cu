// Kernels that show what the emulation does: NVRTC compiles them, too.
#include "device.cuh"

/// y = x * factor, in T.
template <class T> DEVICE void scale(const float *x, float factor, T *y, i32 count) {
    const i32 index = i32(blockIdx.x * blockDim.x + threadIdx.x);
    if (index < count) y[index] = narrow<T>(x[index] * factor);
}
KERNEL(scale_f32, 256, 4, scale<float>)
KERNEL(scale_f16, 256, 4, scale<f16>)
KERNEL(scale_bf16, 256, 4, scale<bf16>)

/// Each block's values in reverse, by way of shared memory.
template <bool has_barrier> DEVICE void reverse(const float *x, float *y) {
    SHARED(float, values, [256]);
    const u32 start = blockIdx.x * blockDim.x;
    values[threadIdx.x] = x[start + threadIdx.x];
    if (has_barrier) sync_block();
    y[start + threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}
KERNEL(reverse, 256, 2, reverse<true>)
KERNEL(reverse_without_barrier, 256, 2, reverse<false>)

/// A barrier, and a shuffle, that half of the threads do not come to.
DEVICE void half_barrier(float *y) {
    if (threadIdx.x % 2) sync_block();
    shuffle_xor(y[0], 1);
}
KERNEL(half_barrier, 256, 1, half_barrier)

/// What is in shared and in dynamic shared memory when a block begins.
DEVICE void look(float *y) {
    SHARED(float, fixed, [4]);
    DYNAMIC_SHARED(float, given);
    if (threadIdx.x) return;
    y[2 * blockIdx.x] = fixed[3];
    y[2 * blockIdx.x + 1] = given[0];
    fixed[3] = 1;
    given[0] = 1;
}
KERNEL(look, 32, 1, look)

/// What lanes tell each other: sums, votes, and where a lane has no neighbour.
DEVICE void converse(const float *x, float *sums, u32 *votes, i32 *neighbours) {
    sums[threadIdx.x] = warp_sum(x[threadIdx.x]);
    votes[threadIdx.x] = ballot(threadIdx.x % 3 == 0);
    neighbours[threadIdx.x] = shuffle_down(lane(), 5) * 100 + shuffle_up(lane(), 5);
}
KERNEL(converse, 64, 4, converse)

DEVICE void write_at(float *y, i32 index, float value) { y[index] = value; }
KERNEL(write_at, 32, 3, write_at)

/// Shared memory beyond its end.
DEVICE void write_beside(i32 index) {
    SHARED(float, values, [32]);
    values[index] = 1;
}
KERNEL(write_beside, 32, 1, write_beside)

/// d [16, 8] = a [16, 16] b [16, 8]: a by rows, b by columns, copied in the background. One warp.
template <class T, bool waits> DEVICE void multiply(const T *a, const T *b, float *d) {
    DYNAMIC_SHARED(T, tile);
    T *const left = tile, *const right = tile + 256;
    copy_async_16(left + lane() * 8, a + lane() * 8, true);
    if (lane() < 16) copy_async_16(right + lane() * 8, b + lane() * 8, true);
    copy_async_commit();
    if (waits) copy_async_wait<0>();
    sync_block();
    u32 rows[4], columns[2];
    load_matrix_4(rows, left + (lane() % 16) * 16 + lane() / 16 * 8);
    load_matrix_2(columns, right + (lane() % 8) * 16 + lane() / 8 % 2 * 8);
    float sum[4] = {};
    mma_16x8x16<T>(sum, rows, columns);
    const i32 group = lane() / 4, pair = lane() % 4 * 2;
    for (i32 part = 0; part < 4; part++) d[(group + part / 2 * 8) * 8 + pair + part % 2] = sum[part];
}
KERNEL(multiply_f16, 32, 3, multiply<f16, true>)
KERNEL(multiply_bf16, 32, 3, multiply<bf16, true>)
KERNEL(multiply_without_wait, 32, 3, multiply<f16, false>)

DEVICE void count(u32 *total) { atomic_add(total, 1u); }
KERNEL(count, 256, 1, count)
