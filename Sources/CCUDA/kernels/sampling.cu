// Chooses tokens from logits, bit for bit as RowSampler does on the CPU (D12); sampling.c among its kernels is the
// truth. One block a row. Weights are integers, so that no sum depends on its order.
#include "CCUDASampling.h"
#include "selection.cuh"

/// The largest of x and whether that is a finite number, in every thread; no row with a NaN has one.
struct row_maximum {
    float value;
    bool is_finite;
};
DEVICE row_maximum maximum_of(const float *x, i32 count) {
    SHARED(u32, order, [1]);
    SHARED(u32, nan_count, [1]);
    if (threadIdx.x == 0) order[0] = nan_count[0] = 0;
    sync_block();
    float highest = float_of(0xff800000);
    u32 nans = 0;
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) {
        nans += x[i] == x[i] ? 0 : 1;
        highest = fmaxf(highest, x[i]);
    }
    highest = warp_max(highest);
    if (lane() == 0) atomic_max(&order[0], order_of(highest));
    if (nans > 0) atomic_add(&nan_count[0], nans);
    sync_block();
    const u32 at = order[0];
    const bool has_nan = nan_count[0] > 0;
    sync_block();
    const float value = float_of(at >> 31 ? at & 0x7fffffffu : ~at);
    return {value, !has_nan && (bits_of(value) & 0x7f800000) != 0x7f800000};
}

/// 2^40 e, rounded to an integer, ties to even; 0 <= e <= 1.
DEVICE u64 weight_of(float e) {
    const u32 bits = bits_of(e);
    const u64 mantissa = (bits & 0x7fffff) | (bits >> 23 ? 0x800000 : 0);
    const i32 shift = i32(bits >> 23) - (127 + 23 - 40);
    if (shift >= 0) return mantissa << shift;
    // Past 25 bits less than half a unit is left.
    if (shift < -25) return 0;
    const u64 half = 1ull << (-shift - 1), quotient = mantissa >> -shift;
    return (mantissa + half - 1 + (quotient & 1)) >> -shift;
}

DEVICE u64 weigh(float x, float maximum, float temperature) {
    return weight_of(exponential(divide_rounded(subtract_rounded(x, maximum), temperature)));
}

/// The upper half of a * b.
DEVICE u64 multiply_high(u64 a, u64 b) {
    const u64 a_low = u32(a), a_high = a >> 32, b_low = u32(b), b_high = b >> 32;
    const u64 middle = a_high * b_low + (a_low * b_low >> 32);
    const u64 other = a_low * b_high + u32(middle);
    return a_high * b_high + (middle >> 32) + (other >> 32);
}

/// The first 64 bits of Philox4x32-10 with key `seed` and counter (position, choice, 0, 0).
DEVICE u64 random_bits(u64 seed, u32 choice, u32 position) {
    u32 c[4] = {position, choice, 0, 0};
    u32 k[2] = {u32(seed), u32(seed >> 32)};
    for (i32 round = 0; round < 10; round++) {
        const u64 left = u64(0xD2511F53u) * c[0], right = u64(0xCD9E8D57u) * c[2];
        c[0] = u32(right >> 32) ^ c[1] ^ k[0];
        c[1] = u32(right);
        c[2] = u32(left >> 32) ^ c[3] ^ k[1];
        c[3] = u32(left);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return u64(c[0]) | u64(c[1]) << 32;
}

/// Every operation rounded once, in RowSampler's order.
DEVICE float edited(float x, const martlet_sample_edit &edit, const martlet_sample_request &request) {
    if (edit.flags & MARTLET_EDIT_REPEATED) {
        x = x > 0 ? divide_rounded(x, request.repetition) : multiply_rounded(x, request.repetition);
    }
    if (edit.count > 0) {
        x = subtract_rounded(x, multiply_rounded(request.frequency, float(edit.count)));
        x = subtract_rounded(x, request.presence);
    }
    if (edit.flags & MARTLET_EDIT_BIASED) x = add_rounded(x, edit.bias);
    return edit.flags & MARTLET_EDIT_BANNED ? float_of(0xff800000) : x;
}

/// The row with its edits: `raw` itself where there are none, else `adjusted`. `kept`: a token that counts once more
/// than its edit says; -1: none.
DEVICE const float *edit_row(
    const float *raw, i32 count, const martlet_sample_request &request, const martlet_sample_edit *edits, i32 kept,
    float *adjusted) {
    if (request.edit_count == 0 && !request.only_allowed && kept < 0) return raw;
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) {
        adjusted[i] = request.only_allowed ? float_of(0xff800000) : raw[i];
    }
    sync_block();
    if (kept >= 0) {
        // Stays where the token has no edit of its own.
        const martlet_sample_edit once = {u32(kept), MARTLET_EDIT_REPEATED, 1, 0};
        if (threadIdx.x == 0 && kept < count && !request.only_allowed) {
            adjusted[kept] = edited(raw[kept], once, request);
        }
        sync_block();
    }
    for (i32 i = i32(threadIdx.x); i < request.edit_count; i += i32(blockDim.x)) {
        martlet_sample_edit edit = edits[request.edit_first + i];
        if (kept >= 0 && edit.id == u32(kept)) {
            edit.flags |= MARTLET_EDIT_REPEATED;
            edit.count++;
        }
        if (edit.id >= u32(count) || (request.only_allowed && !(edit.flags & MARTLET_EDIT_ALLOWED))) continue;
        adjusted[edit.id] = edited(raw[edit.id], edit, request);
    }
    sync_block();
    return adjusted;
}

/// Clears the weights that `selected` does not contain.
DEVICE void keep(const float *x, i32 count, const selection &selected, u64 *weights) {
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) {
        if (!selected.contains(x[i], i)) weights[i] = 0;
    }
    sync_block();
}

/// The weight that the best tokens have to bring together: top_p of the total, rounded up.
DEVICE u64 wanted_of(float top_p, u64 total) {
    const double share = double(top_p > 0 ? top_p : 0) * double(total);
    u64 wanted = u64(share);
    if (double(wanted) < share) wanted++;
    return min(max(wanted, u64(1)), total);
}

/// Weights of the tokens that may be drawn, 0 for all others; returns their sum, which is positive: the best token
/// always stays.
DEVICE u64 weigh_row(
    const float *x, i32 count, float maximum, const martlet_sample_request &request, u64 *weights) {
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) {
        const u64 weight = weigh(x[i], maximum, request.temperature);
        weights[i] = weight < request.least ? 0 : weight;
    }
    sync_block();
    if (request.top_k > 0 && request.top_k < count) {
        const selection best = select_best(
            x, count, maximum, request.temperature, u64(request.top_k), [=](i32 i) { return u64(weights[i] > 0); });
        keep(x, count, best, weights);
    }
    const auto weight = [=](i32 i) { return weights[i]; };
    const u64 total = block_sum(count, weight);
    if (!(request.top_p < 1)) return total;
    keep(
        x, count,
        select_best(x, count, maximum, request.temperature, wanted_of(request.top_p, total), weight), weights);
    return block_sum(count, weight);
}

/// -1 if nothing may be chosen. raw: [all], `raw_maximum` its largest.
DEVICE i32 choose(
    const float *raw, i32 all, row_maximum raw_maximum, const martlet_sample_request &request,
    const martlet_sample_edit *edits, i32 kept, float *adjusted, u64 *weights) {
    const i32 count = min(request.vocabulary_count, all);
    if (count <= 0) return -1;
    const float *const x = edit_row(raw, count, request, edits, kept, adjusted);
    const row_maximum maximum = x == raw && count == all ? raw_maximum : maximum_of(x, count);
    if (!maximum.is_finite) return -1;
    if (request.temperature == 0) {
        const float value = maximum.value;
        return first_past(count, 0, [=](i32 i) { return u64(x[i] == value); }).index;
    }
    const u64 total = weigh_row(x, count, maximum.value, request, weights);
    const u64 target = multiply_high(random_bits(request.seed, request.choice, request.position), total);
    return first_past(count, target, [=](i32 i) { return weights[i]; }).index;
}

/// The `wanted` largest, best first, the lower id first among equals; wanted: at most the number of threads.
DEVICE void list_best(const float *x, i32 count, float maximum, i32 wanted, u32 *ids, float *logits) {
    SHARED(u32, found, [1]);
    if (wanted <= 0) return;
    if (threadIdx.x == 0) found[0] = 0;
    const selection best = select_best(x, count, maximum, 1, u64(wanted), [](i32) { return u64(1); });
    for (i32 i = i32(threadIdx.x); i < count; i += i32(blockDim.x)) {
        if (best.contains(x[i], i)) ids[atomic_add(&found[0], 1)] = u32(i);
    }
    sync_block();
    const i32 own = i32(threadIdx.x);
    const u32 id = own < wanted ? ids[own] : 0;
    i32 place = 0;
    for (i32 i = 0; i < wanted && own < wanted; i++) {
        place += x[ids[i]] > x[id] || (x[ids[i]] == x[id] && ids[i] < id) ? 1 : 0;
    }
    sync_block();
    if (own < wanted) {
        ids[place] = id;
        logits[place] = x[id];
    }
}

/// One token a row. logits: [rows, count], rows `stride` apart; requests, results: [rows]; edits: of all rows; kept: by
/// place, each of one row at most; adjusted, weights: scratch [rows][count]; top_ids, top_logits: [rows][top_capacity],
/// top_capacity: at most the threads of a block. Grid [rows], 2 to 32 whole warps; count < 2^23.
DEVICE void sample_row(
    const float *logits, i32 stride, i32 count, const martlet_sample_request *requests,
    const martlet_sample_edit *edits, i32 *kept, float *adjusted, u64 *weights, martlet_sample_result *results,
    i32 top_capacity, u32 *top_ids, float *top_logits) {
    const i64 row = i64(blockIdx.x);
    const martlet_sample_request request = requests[row];
    const float *const raw = logits + row * stride;
    martlet_sample_result result = {-1, 0, 0, 0, 0};
    // Read by all before the last barrier, and so before it is written.
    const i32 before = request.counts_kept && request.place >= 0 ? kept[request.place] : -1;
    const row_maximum maximum = maximum_of(raw, count);
    if (maximum.is_finite) {
        result.token =
            choose(raw, count, maximum, request, edits, before, adjusted + row * count, weights + row * count);
    }
    if (result.token >= 0) {
        result.logit = raw[result.token];
        result.maximum = maximum.value;
        if (request.logprob_count >= 0) {
            const float highest = maximum.value;
            result.total = block_sum(count, [=](i32 i) { return weigh(raw[i], highest, 1); });
            result.top_count = min(min(request.logprob_count, top_capacity), count);
            list_best(
                raw, count, highest, result.top_count, top_ids + row * top_capacity, top_logits + row * top_capacity);
        }
    }
    if (threadIdx.x == 0) {
        results[row] = result;
        if (request.place >= 0) kept[request.place] = result.token;
    }
}

KERNEL(sample, 1024, 12, sample_row)
