// What the lanes of a warp do together: the last to come does it for all.
#include "device.cuh"
#include "block.h"

namespace emulation {

struct shuffled_lane {
    u64 value;
    u32 source;
    u64 result;
};

u64 shuffle(u64 value, u32 source) {
    shuffled_lane own{value, is_flawed(weak_spot::shuffle) ? here().thread.x & 31 : source, 0};
    meet("shuffle", &own, [](void *const brought[32]) {
        auto lanes = reinterpret_cast<shuffled_lane *const *>(brought);
        for (int lane = 0; lane < 32; lane++) lanes[lane]->result = lanes[lanes[lane]->source]->value;
    });
    return own.result;
}

struct voting_lane {
    bool is_true;
    u32 result;
};

u32 ballot(bool is_true) {
    voting_lane own{is_true, 0};
    meet("ballot", &own, [](void *const brought[32]) {
        auto lanes = reinterpret_cast<voting_lane *const *>(brought);
        u32 votes = 0;
        for (int lane = 0; lane < 32; lane++) votes |= u32(lanes[lane]->is_true) << lane;
        for (int lane = 0; lane < 32; lane++) lanes[lane]->result = votes;
    });
    return own.result;
}

void sync_warp() {
    if (is_flawed(weak_spot::warp_barrier)) return;
    meet("sync_warp", nullptr, [](void *const[32]) {});
}

/// Fragments of one lane.
struct multiplying_lane {
    float *d;
    const u32 *a, *b;
    float (*widen)(u16);
};

/// Layout: PTX, "Matrix Fragments for mma.m16n8k16 with floating point type". The products of 16-bit values are exact
/// in double; each sum is rounded once.
static void multiply(multiplying_lane *const lanes[32]) {
    double a[16][16], b[8][16];
    for (int lane = 0; lane < 32; lane++) {
        const multiplying_lane &own = *lanes[lane];
        if (own.widen != lanes[0]->widen) fail("an mma whose lanes bring different types");
        const int group = lane / 4, pair = lane % 4 * 2;
        for (int half = 0; half < 2; half++) {
            for (int part = 0; part < 4; part++) {
                const u16 bits = u16(own.a[part] >> 16 * half);
                a[group + part % 2 * 8][pair + half + part / 2 * 8] = own.widen(bits);
            }
            for (int part = 0; part < 2; part++) {
                b[group][pair + half + part * 8] = own.widen(u16(own.b[part] >> 16 * half));
            }
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        for (int part = 0; part < 4; part++) {
            const double *row = a[lane / 4 + part / 2 * 8], *column = b[lane % 4 * 2 + part % 2];
            double sum = lanes[lane]->d[part];
            for (int k = 0; k < 16; k++) sum += row[k] * column[k];
            lanes[lane]->d[part] = float(sum);
        }
    }
}

void multiply_fragments(float d[4], const u32 a[4], const u32 b[2], float (*widen)(u16)) {
    multiplying_lane own{d, a, b, widen};
    meet("mma", &own, [](void *const brought[32]) { multiply(reinterpret_cast<multiplying_lane *const *>(brought)); });
}

struct loading_lane {
    u32 *r;
    int count;
    const u16 *row;
    bool is_transposed;
};

/// Layout: PTX, ldmatrix.
static void load(loading_lane *const lanes[32]) {
    for (int lane = 0; lane < 32; lane++) {
        const loading_lane &own = *lanes[lane];
        if (own.count != lanes[0]->count || own.is_transposed != lanes[0]->is_transposed) {
            fail("an ldmatrix whose lanes ask for different things");
        }
        const int group = lane / 4, pair = lane % 4 * 2;
        for (int matrix = 0; matrix < own.count; matrix++) {
            u32 word = 0;
            for (int half = 0; half < 2; half++) {
                const int row = own.is_transposed ? pair + half : group;
                const int column = own.is_transposed ? group : pair + half;
                word |= u32(lanes[matrix * 8 + row]->row[column]) << 16 * half;
            }
            own.r[matrix] = word;
        }
    }
}

void load_matrices(u32 *r, int count, const void *row, bool is_transposed) {
    if (is_flawed(weak_spot::matrix_row)) row = static_cast<const u16 *>(row) + 8;
    const bool is_read = int(here().thread.x & 31) < count * 8;
    if (is_read && !is_shared(row, 16)) fail("ldmatrix of what is not shared memory");
    if (is_read && reinterpret_cast<u64>(row) % 16) fail("ldmatrix of a row whose address is no multiple of 16");
    loading_lane own{r, count, static_cast<const u16 *>(row), is_transposed};
    meet("ldmatrix", &own, [](void *const brought[32]) { load(reinterpret_cast<loading_lane *const *>(brought)); });
}

}  // namespace emulation
