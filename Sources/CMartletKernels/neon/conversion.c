/// Plain types to f32 and back, eight at a time.
#include "../kernels.h"

#if defined(__aarch64__)
#include "eights.h"

void martlet_widen_neon(martlet_dtype dtype, const void *x, float *y, size_t count) {
    const size_t whole = dtype == MARTLET_F32 ? 0 : count / 8 * 8;
    const char *halves = x;
    for (size_t i = 0; i < whole; i += 8) {
        store_8(y + i, dtype == MARTLET_BF16 ? load_8_bf16(halves + 2 * i) : load_8_f16(halves + 2 * i));
    }
    const size_t bytes = dtype == MARTLET_F32 ? 4 : 2;
    martlet_widen_scalar(dtype, halves + whole * bytes, y + whole, count - whole);
}

static inline uint16x4_t bf16_of_f32(float32x4_t value) {
    const uint32x4_t bits = vreinterpretq_u32_f32(value), upper = vshrq_n_u32(bits, 16);
    const uint32x4_t bias = vaddq_u32(vandq_u32(upper, vdupq_n_u32(1)), vdupq_n_u32(0x7FFF));
    const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, bias), 16);
    // A NaN keeps the bits it has room for and becomes quiet.
    const uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(value, value), rounded, quiet));
}

static inline uint16x4_t f16_of_f32(float32x4_t value) { return vreinterpret_u16_f16(vcvt_f16_f32(value)); }

bool martlet_narrow_neon(martlet_dtype dtype, const float *x, void *y, size_t count) {
    const size_t whole = dtype == MARTLET_F32 ? 0 : count / 4 * 4;
    const uint16x4_t infinity = vdup_n_u16(dtype == MARTLET_BF16 ? 0x7F80 : 0x7C00);
    uint16x4_t grown = vdup_n_u16(0);
    char *halves = y;
    for (size_t i = 0; i < whole; i += 4) {
        const float32x4_t v = vld1q_f32(x + i);
        const uint16x4_t h = dtype == MARTLET_BF16 ? bf16_of_f32(v) : f16_of_f32(v);
        vst1_u8((uint8_t *)halves + 2 * i, vreinterpret_u8_u16(h));
        const uint16x4_t were = vmovn_u32(vceqq_f32(vabsq_f32(v), vdupq_n_f32(INFINITY)));
        const uint16x4_t are = vceq_u16(vand_u16(h, vdup_n_u16(0x7FFF)), infinity);
        grown = vorr_u16(grown, vbic_u16(are, were));
    }
    const size_t bytes = dtype == MARTLET_F32 ? 4 : 2;
    const bool rest = martlet_narrow_scalar(dtype, x + whole, halves + whole * bytes, count - whole);
    return rest && vmaxv_u16(grown) == 0;
}
#endif
