#include "twins.h"

#include <math.h>

static uint64_t bits(float x) {
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

static void vocabulary_case(size_t count, bool has_nan) {
    float *x = memory((count + 1) * 4), highest[2] = {0};
    fill(x, count);
    for (size_t i = 0; i < count; i++) x[i] = (float)(int)(x[i] * 50);
    if (has_nan) x[count / 2] = NAN;
    uint64_t ordered[2] = {0}, firsts[2] = {0}, sums[2] = {0}, kept[2] = {0}, chosen[2] = {0};
    output weights = make_output(count * 8 + 64), ids = make_output(20 * 4);
    for (size_t i = 0; i < 2 && !counting; i++) {
        const martlet_kernel_table *table = i == 0 ? truth : twin;
        uint64_t *w = (uint64_t *)(i == 0 ? weights.truth : weights.twin);
        ordered[i] = table->maximum(x, count, &highest[i]);
        firsts[i] = table->first(x, count, highest[0]);
        if (has_nan) continue;
        sums[i] = table->weigh(x, count, highest[0], 0.7f, w);
        table->top(x, count, count < 20 ? count : 20, (uint32_t *)(i == 0 ? ids.truth : ids.twin));
        kept[i] = table->keep_above(count, sums[i] / count / 4, w);
        kept[i] = table->keep_best(x, count, true, kept[i] / 2 + 1, w);
        kept[i] = table->keep_best(x, count, false, 5, w);
        chosen[i] = table->choose(count, w, kept[i] / 2);
    }
    compare_values(ordered[0], ordered[1], "maximum of %zu: whether it is ordered", count);
    compare_values(bits(highest[0]), bits(highest[1]), "maximum of %zu", count);
    compare_values(firsts[0], firsts[1], "first of %zu", count);
    compare_values(sums[0], sums[1], "weigh %zu: the sum", count);
    compare_values(kept[0], kept[1], "keep of %zu: the sum", count);
    compare_values(chosen[0], chosen[1], "choose of %zu", count);
    compare(weights, "weigh and keep of %zu", count);
    compare(ids, "top of %zu", count);
    free(x);
}

void choice_cases(void) {
    static const size_t counts[] = {1, 2, 7, 8, 9, 63, 1000, 1003};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        vocabulary_case(counts[i], false);
        vocabulary_case(counts[i], true);
    }
    for (uint32_t i = 0; i < 10; i++) {
        const uint32_t counter[4] = {i, 2, 3, next_random()}, key[2] = {next_random(), i};
        output random = make_output(16);
        if (!counting) {
            truth->philox(counter, key, (uint32_t *)random.truth);
            twin->philox(counter, key, (uint32_t *)random.twin);
        }
        compare(random, "philox %u", i);
    }
}
