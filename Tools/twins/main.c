// Runs every kernel of every table that this CPU has beside its twin in scalar/, on shapes that fit no register, and
// compares the bits. The arguments are the tables that must be there, best first, scalar left out; "any" asks for none.
// The last line is a digest of what scalar/ computed: the same on every processor.
#include "twins.h"

#include <stdarg.h>

const martlet_kernel_table *twin, *truth;
bool counting;
const char *const type_names[] = {
    "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_K", "q5_K", "q6_K"};

enum { PATTERN = 0xA5, SHOWN = 20 };

static size_t run, passed;
static uint64_t digest, state;

uint32_t next_random(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

void fill(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = (float)(next_random() % 200001) / 100000 - 1;
}

void *memory(size_t bytes) {
    const size_t whole = (bytes / 64 + 1) * 64;
    void *start = aligned_alloc(64, whole);
    if (start == NULL) exit(2);
    return memset(start, 0, whole);
}

output make_output(size_t bytes) {
    output made = {bytes, memory(bytes), memory(bytes)};
    memset(made.truth, PATTERN, bytes);
    memset(made.twin, PATTERN, bytes);
    return made;
}

/// FNV-1a.
static void digest_bytes(const void *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) digest = (digest ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
}

static void finish_case(bool same, const char *format, va_list arguments) {
    run++;
    passed += same;
    if (same || run - passed > SHOWN) return;
    printf("\n  differs: ");
    vprintf(format, arguments);
}

void compare(output made, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!counting) digest_bytes(made.truth, made.bytes);
    finish_case(memcmp(made.truth, made.twin, made.bytes) == 0, format, arguments);
    va_end(arguments);
    free(made.truth);
    free(made.twin);
}

void compare_values(uint64_t of_truth, uint64_t of_twin, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!counting) digest_bytes(&of_truth, sizeof of_truth);
    finish_case(of_truth == of_twin, format, arguments);
    va_end(arguments);
}

static void all_cases(bool only_count) {
    counting = only_count;
    run = passed = 0;
    state = 1;
    digest = 0xCBF29CE484222325u;
    conversion_cases();
    product_cases();
    elementwise_cases();
    attention_cases();
    choice_cases();
}

/// Whether the tables here are those of `wanted` and scalar; says so if not.
static bool are_wanted(char **wanted, size_t count) {
    if (count == 1 && strcmp(wanted[0], "any") == 0) return true;
    for (size_t i = 0; i <= count + 1; i++) {
        const char *name = martlet_kernels_name(i), *other = i < count ? wanted[i] : i == count ? "scalar" : NULL;
        if (name == NULL && other == NULL) return true;
        if (name != NULL && other != NULL && strcmp(name, other) == 0) continue;
        printf("Table %zu is %s, not %s.\n", i, name ? name : "missing", other ? other : "missing");
        break;
    }
    return false;
}

int main(int count, char **arguments) {
    truth = martlet_kernels("scalar");
    if (truth == NULL || !are_wanted(arguments + 1, (size_t)count - 1)) return 1;
    bool fine = true;
    const char *name;
    for (size_t i = 0; (name = martlet_kernels_name(i)) != NULL; i++) {
        twin = martlet_kernels(name);
        // Beside itself only where there is nothing else, for the digest.
        if (twin == truth && i > 0) break;
        all_cases(true);
        const size_t planned = run;
        printf("%s: %zu cases planned, ", name, planned);
        fflush(stdout);
        all_cases(false);
        printf("%zu run, %zu passed\n", run, passed);
        fine = fine && planned > 0 && run == planned && passed == run;
    }
    printf("truth: %016llx\n", (unsigned long long)digest);
    return fine ? 0 : 1;
}
