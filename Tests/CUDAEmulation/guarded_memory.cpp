#include "guarded_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace emulation {

static void *pointer(uint64_t address) { return reinterpret_cast<void *>(address); }

static size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

guarded_memory::guarded_memory(size_t total) : total(total) {
    void *mapped = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) abort();
    start = reinterpret_cast<uint64_t>(mapped);
    next = rounded(start, page) + page;
}

guarded_memory::~guarded_memory() { munmap(pointer(start), reserved); }

uint64_t guarded_memory::allocate(size_t bytes) {
    const size_t size = rounded(bytes, 256), pages = rounded(size, page);
    if (bytes == 0 || bytes > total || used + size > total || next + pages + page > start + reserved) return 0;
    if (mprotect(pointer(next), pages, PROT_READ | PROT_WRITE) != 0) return 0;
    memset(pointer(next), 0xff, pages);
    const uint64_t address = next + pages - size;
    allocations[address] = {bytes, next, pages};
    next += pages + page;
    used += size;
    return address;
}

bool guarded_memory::free(uint64_t address) {
    const auto found = allocations.find(address);
    if (found == allocations.end()) return false;
    const allocation &freed = found->second;
    // First emptied, so that the protected pages cost no memory.
    madvise(pointer(freed.first_page), freed.page_bytes, MADV_DONTNEED);
    mprotect(pointer(freed.first_page), freed.page_bytes, PROT_NONE);
    used -= rounded(freed.bytes, 256);
    allocations.erase(found);
    return true;
}

void guarded_memory::free_all() {
    while (!allocations.empty()) free(allocations.begin()->first);
}

bool guarded_memory::holds(uint64_t address, size_t bytes) const {
    auto found = allocations.upper_bound(address);
    if (found == allocations.begin()) return false;
    --found;
    return bytes <= found->second.bytes && address - found->first <= found->second.bytes - bytes;
}

bool guarded_memory::is_intact(uint64_t address, const allocation &allocation) const {
    const auto is_untouched = [](uint64_t from, uint64_t to) {
        for (uint64_t byte = from; byte < to; byte++)
            if (*static_cast<const uint8_t *>(pointer(byte)) != 0xff) return false;
        return true;
    };
    const uint64_t end = address + allocation.bytes;
    // Of what lies before, what an index that is off by a row would touch.
    const uint64_t before = address - allocation.first_page < 1024 ? allocation.first_page : address - 1024;
    return is_untouched(before, address) && is_untouched(end, address + rounded(allocation.bytes, 256));
}

bool guarded_memory::is_intact() const {
    for (const auto &[address, allocation] : allocations)
        if (!is_intact(address, allocation)) return false;
    return true;
}

}  // namespace emulation
