// The shared memory of the block that runs: static variables from the start, with gaps that nobody may write; dynamic
// memory up to a page that nobody may touch. All of it is NaN when a block begins.
#ifndef MARTLET_SHARED_MEMORY_H
#define MARTLET_SHARED_MEMORY_H
#include <cstddef>
#include <vector>

namespace emulation {

class shared_memory {
  public:
    shared_memory() = default;
    shared_memory(const shared_memory &) = delete;
    ~shared_memory();

    void begin(size_t dynamic_size);
    /// The variable of `tag`, or NULL where 48 KiB do not hold it.
    void *place(const void *tag, size_t size, size_t alignment);
    void *dynamic() const { return end() - dynamic_size; }
    bool contains(const void *address, size_t size) const;
    /// Whether the gaps are as they were.
    bool is_intact() const;

  private:
    struct variable {
        const void *tag;
        size_t start, end;
    };
    static constexpr size_t static_most = 48 << 10, dynamic_most = 240 << 10, gap = 64, guard = 16 << 10;

    char *end() const { return memory + static_most + dynamic_most; }

    char *memory = nullptr;
    size_t dynamic_size = 0;
    std::vector<variable> variables;
};

}  // namespace emulation
#endif
