/// The only place that asks the CPU, and the operating system, what they can do.
#define _GNU_SOURCE
#include "kernels.h"

#include <string.h>

#if defined(__linux__)
#include <sched.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/// Whether the operating system saves the registers of these XCR0 bits.
__attribute__((target("xsave"))) static bool saves(unsigned long long registers) {
    return (__builtin_ia32_xgetbv(0) & registers) == registers;
}

/// The ymm registers' bits, and those with masks, zmm0-15's upper halves and zmm16-31.
enum { YMM = 0x06, ZMM = 0xE6 };

static bool has_avx2(void) {
    unsigned eax, ebx, ecx, edx;
    const unsigned leaf1 = bit_FMA | bit_OSXSAVE | bit_AVX | bit_F16C;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf1) != leaf1 || !saves(YMM)) return false;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_AVX2) != 0;
}

static bool has_avxvnni(void) {
    enum { AVX_VNNI = 1 << 4 };
    unsigned eax, ebx, ecx, edx;
    return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & AVX_VNNI) != 0;
}

static bool has_avx512(void) {
    unsigned eax, ebx, ecx, edx;
    const unsigned leaf7 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if (!has_avx2() || !saves(ZMM) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
    return (ebx & leaf7) == leaf7 && (ecx & bit_AVX512VNNI) != 0;
}

static bool has_avx512bf16(void) {
    enum { AVX512_BF16 = 1 << 5 };
    unsigned eax, ebx, ecx, edx;
    return has_avx512() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & AVX512_BF16) != 0;
}
#endif

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static bool has_dot_product(void) {
    enum { ASIMDDP = 1 << 20 };
    return (getauxval(AT_HWCAP) & ASIMDDP) != 0;
}
#endif

/// Tables that can run here, best first; at most `capacity`.
static size_t usable(const martlet_kernel_table **tables, size_t capacity) {
    size_t count = 0;
#if defined(__x86_64__)
    if (count < capacity && has_avx512bf16()) tables[count++] = &martlet_table_avx512bf16;
    if (count < capacity && has_avx512()) tables[count++] = &martlet_table_avx512;
    if (count < capacity && has_avxvnni()) tables[count++] = &martlet_table_avxvnni;
    if (count < capacity && has_avx2()) tables[count++] = &martlet_table_avx2;
#endif
#if defined(__aarch64__) && defined(__linux__)
    if (count < capacity && has_dot_product()) tables[count++] = &martlet_table_neon;
#endif
    if (count < capacity) tables[count++] = &martlet_table_scalar;
    return count;
}

enum { TABLES = 8 };

const martlet_kernel_table *martlet_kernels(const char *forced) {
    const martlet_kernel_table *tables[TABLES];
    const size_t count = usable(tables, TABLES);
    for (size_t i = 0; i < count; i++) {
        if (forced == NULL || strcmp(forced, tables[i]->name) == 0) return tables[i];
    }
    return NULL;
}

const char *martlet_kernels_name(size_t index) {
    const martlet_kernel_table *tables[TABLES];
    return index < usable(tables, TABLES) ? tables[index]->name : NULL;
}

size_t martlet_allowed_processors(int *processors, size_t capacity) {
    size_t count = 0;
#if defined(__linux__)
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 0;
    for (int processor = 0; processor < CPU_SETSIZE && count < capacity; processor++) {
        if (CPU_ISSET(processor, &mask)) processors[count++] = processor;
    }
#endif
    return count;
}

bool martlet_pin_thread(const int *processors, size_t count) {
#if defined(__linux__)
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (size_t i = 0; i < count; i++) {
        if (processors[i] >= 0 && processors[i] < CPU_SETSIZE) CPU_SET(processors[i], &mask);
    }
    return sched_setaffinity(0, sizeof mask, &mask) == 0;
#else
    return false;
#endif
}
