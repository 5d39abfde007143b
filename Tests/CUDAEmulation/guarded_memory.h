// Memory that begins as NaN, ends at a page nobody may touch, and once freed is never given again.
#ifndef MARTLET_GUARDED_MEMORY_H
#define MARTLET_GUARDED_MEMORY_H
#include <cstddef>
#include <cstdint>
#include <map>

namespace emulation {

class guarded_memory {
  public:
    explicit guarded_memory(size_t total);
    guarded_memory(const guarded_memory &) = delete;
    ~guarded_memory();

    /// At a multiple of 256; 0 where `total` does not hold it.
    uint64_t allocate(size_t bytes);
    /// Whether `address` is what `allocate` gave.
    bool free(uint64_t address);
    void free_all();
    /// Whether all the bytes lie in one allocation.
    bool holds(uint64_t address, size_t bytes) const;
    /// Whether the address is, was or will be of this memory.
    bool spans(uint64_t address) const { return address >= start && address < start + reserved; }
    /// Whether nothing was written into the bytes between an allocation and the pages around it.
    bool is_intact() const;

    size_t count() const { return allocations.size(); }
    const size_t total;
    size_t used = 0;

  private:
    struct allocation {
        size_t bytes;
        uint64_t first_page;
        size_t page_bytes;
    };
    bool is_intact(uint64_t address, const allocation &) const;

    static constexpr size_t reserved = size_t(1) << 36, page = 16 << 10;
    uint64_t start, next;
    std::map<uint64_t, allocation> allocations;
};

}  // namespace emulation
#endif
