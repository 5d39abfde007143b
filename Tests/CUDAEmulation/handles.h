// Objects that the program under test holds by address.
#ifndef MARTLET_HANDLES_H
#define MARTLET_HANDLES_H
#include <memory>
#include <unordered_map>
#include <vector>

namespace emulation {

/// An object that was destroyed keeps its address while the emulation is open, so that a late use is told.
template <class T> class handles {
  public:
    T *make(T object) {
        auto owner = std::make_unique<T>(std::move(object));
        T *address = owner.get();
        living.emplace(address, std::move(owner));
        return address;
    }
    bool has(const T *object) const { return living.count(object) != 0; }
    bool destroy(T *object) {
        const auto found = living.find(object);
        if (found == living.end()) return false;
        dead.push_back(std::move(found->second));
        living.erase(found);
        return true;
    }
    size_t count() const { return living.size(); }
    std::vector<T *> all() const {
        std::vector<T *> objects;
        for (const auto &[address, owner] : living) objects.push_back(owner.get());
        return objects;
    }

  private:
    std::unordered_map<const T *, std::unique_ptr<T>> living;
    std::vector<std::unique_ptr<T>> dead;
};

}  // namespace emulation
#endif
