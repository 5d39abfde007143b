/// What the cases of twins are written in.
#ifndef MARTLET_TWINS_H
#define MARTLET_TWINS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CMartletKernels.h"

/// The table under test, and the truth.
extern const martlet_kernel_table *twin, *truth;

/// Memory of one output, twice: what lies around and between the numbers is compared too.
typedef struct output {
    size_t bytes;
    unsigned char *truth, *twin;
} output;

/// Filled with a pattern that no kernel writes.
output make_output(size_t bytes);

/// One case: both were run. Compares their outputs bit for bit, takes the truth's into the digest, frees both.
void compare(output made, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// One case whose results are numbers.
void compare_values(uint64_t of_truth, uint64_t of_twin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// Whether cases are only counted: `compare` is called all the same, kernels are not.
extern bool counting;

uint32_t next_random(void);

/// Numbers in -1 ... 1.
void fill(float *x, size_t count);

/// Zeroed; aligned to 64 bytes.
void *memory(size_t bytes);

/// Every name a `martlet_dtype` has in messages.
extern const char *const type_names[];

void conversion_cases(void);
void product_cases(void);
void elementwise_cases(void);
void attention_cases(void);
void choice_cases(void);

#endif
