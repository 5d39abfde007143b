// The deterministic weights of MODEL.md 7.2. In C because a 9B model has ten billion of them and a debug build
// has to make its share too.
#ifndef MARTLET_CDUMMY_H
#define MARTLET_CDUMMY_H
#include <stddef.h>
#include <stdint.h>
#pragma clang assume_nonnull begin

typedef enum { MARTLET_DUMMY_F32, MARTLET_DUMMY_F16, MARTLET_DUMMY_BF16 } martlet_dummy_format;

/// Element i of a tensor is `offset + u(hash, i) * factor / divisor`, u in [-0.5, 0.5), computed in double, rounded to
/// float, then to the format (nearest, ties to even).
typedef struct {
    uint64_t hash;
    double factor;
    double divisor;
    double offset;
    martlet_dummy_format format;
} martlet_dummy_rule;

/// Writes elements `first` ... `first + count - 1` of a tensor; `out` is aligned to 4 bytes.
void martlet_dummy_fill(const martlet_dummy_rule *rule, uint64_t first, size_t count, void *out);

#pragma clang assume_nonnull end
#endif
