#include "shared_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace emulation {

shared_memory::~shared_memory() {
    if (memory) munmap(memory, static_most + gaps + dynamic_most + guard);
}

void shared_memory::begin(size_t size, size_t limit) {
    if (!memory) {
        void *mapped = mmap(nullptr, static_most + gaps + dynamic_most + guard, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) abort();
        memory = static_cast<char *>(mapped);
        if (mprotect(end(), guard, PROT_NONE) != 0) abort();
        protect(0);
    }
    if (size > dynamic_most) abort();
    if (size != given) protect(size);
    most = limit;
    static_size = 0;
    variables.clear();
    memset(memory, 0xff, static_most + gaps);
    memset(end() - dynamic_size, 0xff, dynamic_size);
}

void shared_memory::protect(size_t size) {
    given = size;
    dynamic_size = (size + 15) / 16 * 16;
    const size_t open = (dynamic_size + page - 1) / page * page;
    const bool is_closed = mprotect(end() - dynamic_most, dynamic_most - open, PROT_NONE) == 0;
    if (!is_closed || mprotect(end() - open, open, PROT_READ | PROT_WRITE) != 0) abort();
}

void *shared_memory::place(const void *tag, size_t size, size_t alignment) {
    for (const variable &each : variables)
        if (each.tag == tag) return memory + each.start;
    const size_t free = variables.empty() ? 0 : variables.back().end + gap;
    const size_t start = (free + alignment - 1) / alignment * alignment;
    if (start + size + gap > static_most + gaps) return nullptr;
    static_size += size;
    if (static_size > static_most || static_size + dynamic_size > most) return nullptr;
    variables.push_back({tag, start, start + size});
    return memory + start;
}

bool shared_memory::contains(const void *address, size_t size) const {
    const char *start = static_cast<const char *>(address);
    if (start >= end() - dynamic_size && start + size <= end()) return true;
    for (const variable &each : variables)
        if (start >= memory + each.start && start + size <= memory + each.end) return true;
    return false;
}

bool shared_memory::is_intact() const {
    for (size_t index = 0; index < variables.size(); index++) {
        const size_t next = index + 1 < variables.size() ? variables[index + 1].start : variables[index].end + gap;
        for (size_t byte = variables[index].end; byte < next; byte++)
            if (memory[byte] != char(0xff)) return false;
    }
    return true;
}

}  // namespace emulation
