// SHA-256 (FIPS 180-4), streaming. The one digest of the project: block keys, image hashes, file checks.
#ifndef MARTLET_CDIGEST_H
#define MARTLET_CDIGEST_H
#include <stddef.h>
#include <stdint.h>

#include "CDummy.h"
#pragma clang assume_nonnull begin

typedef struct {
    uint32_t state[8];
    uint64_t byte_count;
    uint8_t block[64];
} martlet_sha256;

void martlet_sha256_start(martlet_sha256 *hash);
/// Absorbs `count` bytes.
void martlet_sha256_update(martlet_sha256 *hash, const void *bytes, size_t count);
/// Writes the 32-byte digest; `hash` must be started again before more use.
void martlet_sha256_finish(martlet_sha256 *hash, uint8_t digest[_Nonnull 32]);

#pragma clang assume_nonnull end
#endif
