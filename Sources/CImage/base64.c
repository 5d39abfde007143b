#include "CImage.h"

// The value of each character, 64 for all that are not in the alphabet.
static uint8_t value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

ptrdiff_t martlet_base64_decode(const uint8_t *text, size_t count, uint8_t *out) {
    if (count % 4 != 0) return -1;
    if (count == 0) return 0;
    uint8_t table[256], *start = out;
    for (unsigned c = 0; c < 256; c++) table[c] = value_of((uint8_t)c);
    size_t padding = text[count - 1] != '=' ? 0 : text[count - 2] != '=' ? 1 : 2;
    for (size_t i = 0; i < count; i += 4) {
        uint32_t bits = 0, wrong = 0, missing = i + 4 == count ? (uint32_t)padding : 0;
        for (uint32_t j = 0; j < 4; j++) {
            uint8_t value = j < 4 - missing ? table[text[i + j]] : 0;
            wrong |= value & 64;
            bits = bits << 6 | (value & 63);
        }
        // Bits below the last byte must be zero, or two texts would mean the same bytes.
        if (wrong || (missing && (bits & ((1u << 8 * missing) - 1)))) return -1;
        *out++ = (uint8_t)(bits >> 16);
        if (missing < 2) *out++ = (uint8_t)(bits >> 8);
        if (missing < 1) *out++ = (uint8_t)bits;
    }
    return out - start;
}
