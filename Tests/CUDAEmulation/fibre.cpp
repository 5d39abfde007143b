#include "fibre.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace emulation {

#if defined(__x86_64__)

// Six registers and the return address.
static constexpr size_t saved = 7;
static constexpr size_t entry_word = 6;

__attribute__((naked)) void martlet_fibre_switch(continuation *, continuation) {
    asm("push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret");
}

#elif defined(__aarch64__)

// x19 to x30 and d8 to d15.
static constexpr size_t saved = 20;
static constexpr size_t entry_word = 11;

__attribute__((naked)) void martlet_fibre_switch(continuation *, continuation) {
    asm("sub sp, sp, #160\n"
        "stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n"
        "stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        "mov x9, sp\n str x9, [x0]\n mov sp, x1\n"
        "ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"
        "ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n"
        "ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "add sp, sp, #160\n ret");
}

#else
#error "the emulation knows how to switch stacks on x86-64 and aarch64"
#endif

stacks::~stacks() {
    if (memory) munmap(memory, (size + guard) * most);
}

continuation stacks::start(size_t index, void (*entry)()) {
    if (!memory) {
        void *mapped = mmap(nullptr, (size + guard) * most, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) abort();
        memory = static_cast<char *>(mapped);
        for (size_t each = 0; each < most; each++) {
            if (mprotect(memory + each * (size + guard), guard, PROT_NONE) != 0) abort();
        }
    }
    uintptr_t *top = reinterpret_cast<uintptr_t *>(memory + (index + 1) * (size + guard));
    // As after a call: the stack is off by a word from a multiple of 16 on x86-64, and on one on aarch64.
    uintptr_t *pointer = top - 2 - saved;
#if defined(__x86_64__)
    pointer = top - 1 - saved;
    pointer[saved] = 0;
#endif
    for (size_t word = 0; word < saved; word++) pointer[word] = 0;
    pointer[entry_word] = reinterpret_cast<uintptr_t>(entry);
    return pointer;
}

}  // namespace emulation
