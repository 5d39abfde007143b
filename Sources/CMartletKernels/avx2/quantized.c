/// Panels to f32, sixteen rows at a time; the values are those of scalar/quantized.c, bit for bit: scale times quant is
/// exact, so that a fused multiply-add rounds where the definition rounds.
#include "../kernels.h"

#if defined(__x86_64__)
#include "panel.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { ROWS = MARTLET_PANEL_ROWS };

static inline __m128i bytes_at(const uint8_t *items, size_t index) {
    return _mm_loadu_si128((const __m128i *)(items + index * ROWS));
}

static inline __m128i low_nibbles(__m128i bytes) {
    return _mm_and_si128(bytes, _mm_set1_epi8(15));
}

static inline __m128i high_nibbles(__m128i bytes) {
    return _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
}

/// The bits of `mask` in each byte shifted right by `count`, masked after.
static inline __m128i bits(__m128i bytes, int count, char mask) {
    return _mm_and_si128(_mm_srl_epi16(bytes, _mm_cvtsi32_si128(count)), _mm_set1_epi8(mask));
}

static void unpack_q4_0(const uint8_t *block, float *tile) {
    const pair d = load_f16(block);
    const uint8_t *quants = block + 2 * ROWS;
    for (size_t j = 0; j < 16; j++) {
        const __m128i byte = bytes_at(quants, j), eight = _mm_set1_epi8(8);
        store(tile + j * ROWS, times(from_bytes(_mm_sub_epi8(low_nibbles(byte), eight)), d));
        store(tile + (16 + j) * ROWS, times(from_bytes(_mm_sub_epi8(high_nibbles(byte), eight)), d));
    }
}

static void unpack_q4_1(const uint8_t *block, float *tile) {
    const pair d = load_f16(block), m = load_f16(block + 2 * ROWS);
    const uint8_t *quants = block + 4 * ROWS;
    for (size_t j = 0; j < 16; j++) {
        const __m128i byte = bytes_at(quants, j);
        store(tile + j * ROWS, times_plus(from_bytes(low_nibbles(byte)), d, m));
        store(tile + (16 + j) * ROWS, times_plus(from_bytes(high_nibbles(byte)), d, m));
    }
}

/// Sixteen quants of five bits: `nibbles` plus `clear` or `set` by the top bit of each row's word. Goes on to the next
/// lower bit.
static inline pair with_fifth_bits(__m128i nibbles, __m256i fifths[2], int clear, int set) {
    const __m256 no = _mm256_castsi256_ps(_mm256_set1_epi32(clear)), yes = _mm256_castsi256_ps(_mm256_set1_epi32(set));
    const __m256i low = _mm256_castps_si256(_mm256_blendv_ps(no, yes, _mm256_castsi256_ps(fifths[0])));
    const __m256i high = _mm256_castps_si256(_mm256_blendv_ps(no, yes, _mm256_castsi256_ps(fifths[1])));
    fifths[0] = _mm256_slli_epi32(fifths[0], 1);
    fifths[1] = _mm256_slli_epi32(fifths[1], 1);
    const __m256i upper = _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(nibbles, nibbles));
    return (pair){
        _mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_cvtepu8_epi32(nibbles), low)),
        _mm256_cvtepi32_ps(_mm256_add_epi32(upper, high))};
}

/// The rows' words of fifth bits, element 15 (or, `upper`, 31) on top.
static inline void load_fifth_bits(const uint8_t *words, bool upper, __m256i fifths[2]) {
    const int shift = upper ? 0 : 16;
    fifths[0] = _mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)words), shift);
    fifths[1] = _mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)words + 1), shift);
}

static void unpack_q5_0(const uint8_t *block, float *tile) {
    const pair d = load_f16(block);
    const uint8_t *words = block + 2 * ROWS, *quants = words + 4 * ROWS;
    __m256i low[2], high[2];
    load_fifth_bits(words, false, low);
    load_fifth_bits(words, true, high);
    for (size_t j = 16; j-- > 0;) {
        const __m128i byte = bytes_at(quants, j);
        store(tile + j * ROWS, times(with_fifth_bits(low_nibbles(byte), low, -16, 0), d));
        store(tile + (16 + j) * ROWS, times(with_fifth_bits(high_nibbles(byte), high, -16, 0), d));
    }
}

static void unpack_q5_1(const uint8_t *block, float *tile) {
    const pair d = load_f16(block), m = load_f16(block + 2 * ROWS);
    const uint8_t *words = block + 4 * ROWS, *quants = words + 4 * ROWS;
    __m256i low[2], high[2];
    load_fifth_bits(words, false, low);
    load_fifth_bits(words, true, high);
    for (size_t j = 16; j-- > 0;) {
        const __m128i byte = bytes_at(quants, j);
        store(tile + j * ROWS, times_plus(with_fifth_bits(low_nibbles(byte), low, 0, 16), d, m));
        store(tile + (16 + j) * ROWS, times_plus(with_fifth_bits(high_nibbles(byte), high, 0, 16), d, m));
    }
}

static void unpack_q8_0(const uint8_t *block, float *tile) {
    const pair d = load_f16(block);
    const uint8_t *quants = block + 2 * ROWS;
    for (size_t i = 0; i < 32; i++) store(tile + i * ROWS, times(from_bytes(bytes_at(quants, i)), d));
}

/// d * scale and dmin * minimum of sub-block `j` of a Q4_K or Q5_K block, both exact.
static inline void scales_k4(const uint8_t *block, size_t j, pair *scale, pair *minimum) {
    const uint8_t *packed = block + 4 * ROWS;
    __m128i s, m;
    if (j < 4) {
        s = bits(bytes_at(packed, j), 0, 63);
        m = bits(bytes_at(packed, j + 4), 0, 63);
    } else {
        const __m128i last = bytes_at(packed, j + 4);
        s = _mm_or_si128(low_nibbles(last), _mm_slli_epi16(bits(bytes_at(packed, j - 4), 6, 3), 4));
        m = _mm_or_si128(high_nibbles(last), _mm_slli_epi16(bits(bytes_at(packed, j), 6, 3), 4));
    }
    *scale = times(load_f16(block), from_bytes(s));
    *minimum = times(load_f16(block + 2 * ROWS), from_bytes(m));
}

/// Sub-block `j` (32 columns) of a Q4_K block.
static void unpack_q4_k(const uint8_t *block, size_t j, float *tile) {
    pair scale, minimum;
    scales_k4(block, j, &scale, &minimum);
    const uint8_t *quants = block + (16 + 32 * (j / 2)) * ROWS;
    for (size_t l = 0; l < 32; l++) {
        const __m128i quant = bits(bytes_at(quants, l), j % 2 ? 4 : 0, 15);
        store(tile + l * ROWS, times_minus(from_bytes(quant), scale, minimum));
    }
}

/// Sub-block `j` (32 columns) of a Q5_K block.
static void unpack_q5_k(const uint8_t *block, size_t j, float *tile) {
    pair scale, minimum;
    scales_k4(block, j, &scale, &minimum);
    const uint8_t *fifths = block + 16 * ROWS, *quants = block + (48 + 32 * (j / 2)) * ROWS;
    for (size_t l = 0; l < 32; l++) {
        const __m128i low = bits(bytes_at(quants, l), j % 2 ? 4 : 0, 15);
        const __m128i fifth = _mm_slli_epi16(bits(bytes_at(fifths, l), (int)j, 1), 4);
        store(tile + l * ROWS, times_minus(from_bytes(_mm_or_si128(low, fifth)), scale, minimum));
    }
}

/// Columns 32 * j and on of a Q6_K block.
static void unpack_q6_k(const uint8_t *block, size_t j, float *tile) {
    const size_t half = j / 4, quarter = j % 4;
    const uint8_t *low = block + (64 * half + 32 * (quarter % 2)) * ROWS;
    const uint8_t *high = block + (128 + 32 * half) * ROWS;
    const uint8_t *scales = block + (192 + 8 * half + 2 * quarter) * ROWS;
    const pair d = load_f16(block + 208 * ROWS);
    for (size_t part = 0; part < 2; part++) {
        const pair scale = times(d, from_bytes(bytes_at(scales, part)));
        for (size_t l = 16 * part; l < 16 * part + 16; l++) {
            const __m128i lower = bits(bytes_at(low, l), quarter < 2 ? 0 : 4, 15);
            const __m128i upper = _mm_slli_epi16(bits(bytes_at(high, l), 2 * (int)quarter, 3), 4);
            const __m128i quant = _mm_sub_epi8(_mm_or_si128(lower, upper), _mm_set1_epi8(32));
            store(tile + l * ROWS, times(from_bytes(quant), scale));
        }
    }
}

static void unpack_plain(martlet_dtype dtype, const uint8_t *items, size_t count, float *tile) {
    switch (dtype) {
    case MARTLET_F32:
        for (size_t i = 0; i < count; i++) store(tile + i * ROWS, load_f32((const float *)items + i * ROWS));
        break;
    case MARTLET_F16:
        for (size_t i = 0; i < count; i++) store(tile + i * ROWS, load_f16(items + 2 * i * ROWS));
        break;
    default:
        for (size_t i = 0; i < count; i++) store(tile + i * ROWS, load_bf16(items + 2 * i * ROWS));
        break;
    }
}

void martlet_unpack_panel_avx2(
    martlet_dtype dtype, const void *panel, size_t first, size_t count, float *tile) {
    const size_t elements = martlet_block_elements(dtype), bytes = ROWS * martlet_block_bytes(dtype);
    if (elements == 1) {
        unpack_plain(dtype, (const uint8_t *)panel + first * bytes, count, tile);
        return;
    }
    for (size_t i = 0; i < count; i += 32) {
        const uint8_t *block = (const uint8_t *)panel + (first + i) / elements * bytes;
        const size_t j = (first + i) % elements / 32;
        float *target = tile + i * ROWS;
        switch (dtype) {
        case MARTLET_Q4_0: unpack_q4_0(block, target); break;
        case MARTLET_Q4_1: unpack_q4_1(block, target); break;
        case MARTLET_Q5_0: unpack_q5_0(block, target); break;
        case MARTLET_Q5_1: unpack_q5_1(block, target); break;
        case MARTLET_Q8_0: unpack_q8_0(block, target); break;
        case MARTLET_Q4_K: unpack_q4_k(block, j, target); break;
        case MARTLET_Q5_K: unpack_q5_k(block, j, target); break;
        default: unpack_q6_k(block, j, target); break;
        }
    }
}

void martlet_unpack_row_avx2(const martlet_matrix *w, size_t row, float *y) {
    martlet_unpack_row_by(martlet_unpack_panel_avx2, w, row, y);
}

#pragma clang attribute pop
#endif
