/// Products of two columns by fused multiply-adds, for sets without an instruction for them: what wide/bf16.h is
/// written in.
#ifndef MARTLET_WIDE_PAIRS_H
#define MARTLET_WIDE_PAIRS_H

/// Two columns of a panel of bf16.
typedef struct pairs {
    lanes first, second;
} pairs;

MARTLET_INLINE pairs load_pairs(const void *columns) {
    return (pairs){load_bf16(columns), load_bf16((const char *)columns + 2 * MARTLET_PANEL_ROWS)};
}

/// sums + the second column's products, then + the first's; x: two numbers of bf16.
MARTLET_INLINE lanes add_pairs(lanes sums, pairs w, const uint16_t *x) {
    const uint32_t bits[] = {(uint32_t)x[0] << 16, (uint32_t)x[1] << 16};
    float values[2];
    __builtin_memcpy(values, bits, sizeof values);
    return times_plus(broadcast(values), w.first, times_plus(broadcast(values + 1), w.second, sums));
}

#endif
