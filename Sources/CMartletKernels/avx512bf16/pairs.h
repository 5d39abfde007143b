/// Products of two columns in one instruction: what wide/bf16.h is written in.
#ifndef MARTLET_AVX512BF16_PAIRS_H
#define MARTLET_AVX512BF16_PAIRS_H

/// Two columns of a panel of bf16, each row's adjacent.
typedef struct pairs {
    __m512bh all;
} pairs;

MARTLET_INLINE pairs load_pairs(const void *columns) {
    const __m512i order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1,
        16, 0);
    return (pairs){(__m512bh)_mm512_permutexvar_epi16(order, _mm512_loadu_si512(columns))};
}

/// sums + the second column's products, then + the first's; x: two numbers of bf16.
MARTLET_INLINE lanes add_pairs(lanes sums, pairs w, const uint16_t *x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return (lanes){_mm512_dpbf16_ps(sums.all, w.all, (__m512bh)_mm512_set1_epi32(word))};
}

#endif
