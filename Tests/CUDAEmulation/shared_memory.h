// The shared memory of the block that runs: static variables from the start, with gaps that nobody may write, and
// dynamic memory at the end; nobody may touch the pages between and behind. All is NaN when a block begins.
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

    /// `most`: of static and dynamic memory together.
    void begin(size_t dynamic_size, size_t most);
    /// The variable of `tag`, or NULL where there is no more room: of static memory alone there are 48 KiB.
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
    static constexpr size_t static_most = 48 << 10, dynamic_most = 240 << 10, guard = 1 << 20, page = 16 << 10;
    /// Between two variables, and in all.
    static constexpr size_t gap = 64, gaps = 16 << 10;

    /// Opens the pages of so much dynamic memory, and no others.
    void protect(size_t size);
    char *end() const { return memory + static_most + gaps + dynamic_most; }

    char *memory = nullptr;
    size_t given = 0, dynamic_size = 0, static_size = 0, most = 0;
    std::vector<variable> variables;
};

}  // namespace emulation
#endif
