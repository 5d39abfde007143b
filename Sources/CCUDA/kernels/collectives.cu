// Sums over ranks whose devices reach each other's memory.
#include "device.cuh"

/// x = the sum of every rank's part, element by element in order of rank; x: [count], parts: the addresses of [count]
/// each, at multiples of 16 bytes. A thread has four elements; grid [count / 1024], rounded up.
DEVICE void sum_ranks(float *x, const u64 *parts, i32 rank_count, i64 count) {
    const i64 first = 4 * (i64(blockIdx.x) * blockDim.x + threadIdx.x);
    if (first >= count) return;
    float sums[4] = {};
    for (i32 rank = 0; rank < rank_count; rank++) {
        const float *part = (const float *)parts[rank] + first;
        u32 words[4] = {};
        if (first + 4 <= count) {
            const vec4 four = *(const vec4 *)part;
            words[0] = four.x, words[1] = four.y, words[2] = four.z, words[3] = four.w;
        } else {
            for (i32 i = 0; i < i32(count - first); i++) words[i] = bits_of(part[i]);
        }
        // The first is taken as it is: 0 + -0 would be another bit.
        for (i32 i = 0; i < 4; i++) sums[i] = rank == 0 ? float_of(words[i]) : sums[i] + float_of(words[i]);
    }
    for (i32 i = 0; i < 4 && first + i < count; i++) x[first + i] = sums[i];
}

KERNEL(sum_ranks, 256, 4, sum_ranks)
