#include "machine.h"

#include <atomic>

namespace emulation {

static thread_local machine *current_machine;
/// The context that is current on this thread, by the machine it belongs to.
static thread_local std::unordered_map<uint64_t, CUcontext> current_contexts;

machine::machine(martlet_emulation_options options) : options(options), generator(options.seed) {
    static std::atomic<uint64_t> next{1};
    identity = next++;
    calls.resize(number::count);
    for (int index = 0; index < options.device_count; index++) {
        devices.push_back(std::make_unique<device>(options.memory_bytes));
        devices.back()->context.device = index;
    }
}

machine &machine::current() { return *current_machine; }

call_scope::call_scope(machine &machine) : lock(machine.mutex) { current_machine = &machine; }

call_scope::~call_scope() { current_machine = nullptr; }

device *machine::current_device() {
    const auto found = current_contexts.find(identity);
    if (found == current_contexts.end() || !found->second || found->second->retained == 0) return nullptr;
    return devices[size_t(found->second->device)].get();
}

void machine::set_current(CUcontext context) { current_contexts[identity] = context; }

admission machine::enter(function function) {
    calls[function]++;
    for (const planted_error &planted : planted)
        if (planted.function == function && planted.call == calls[function]) return {true, planted.error};
    // The functions up to here need no context, and other libraries' look at it themselves.
    if (function <= number::cuCtxSetCurrent || function > number::cuGraphDestroy) return {false, 0};
    if (device *device = current_device()) {
        if (device->calls_left > 0 && --device->calls_left == 0) lose(*device, device->loss);
        return {device->context.lost != CUDA_SUCCESS, device->context.lost};
    }
    return {false, 0};
}

bool machine::is_device_memory(uint64_t address, size_t bytes) const {
    for (const auto &device : devices)
        if (device->memory.holds(address, bytes)) return true;
    return false;
}

void machine::end_context(device &device) {
    const bool is_lost = device.context.lost != CUDA_SUCCESS;
    const int index = device.context.device;
    const auto end = [&](const char *what, auto &objects) {
        for (auto *object : objects.all()) {
            if (object->device != index) continue;
            if (!is_lost) complain(std::string("never destroyed: ") + what);
            objects.destroy(object);
        }
    };
    if (!device.memory.is_intact() && !is_lost) complain("memory was written beside an allocation");
    end("a communicator", communicators);
    end("a graph", graphs);
    end("an executable graph", executables);
    end("an event", events);
    end("a stream", streams);
    end("a module", modules);
    if (!is_lost && device.memory.count()) {
        complain("never freed: " + std::to_string(device.memory.count()) + " allocations of device " +
                 std::to_string(index));
    }
    device.memory.free_all();
    device.peers.clear();
    device.context.lost = CUDA_SUCCESS;
    device.context.retained = 0;
}

void machine::lose(device &device, CUresult error) {
    if (device.context.lost == CUDA_SUCCESS) device.context.lost = error;
    has_lost = true;
}

void machine::end() {
    for (const auto &device : devices) {
        if (device->context.retained && device->context.lost == CUDA_SUCCESS) complain("never released: a context");
        end_context(*device);
    }
    // What belongs to a lost context could not be given back.
    if (has_lost) return;
    const std::pair<const char *, size_t> counts[] = {
        {"never freed: pinned memory", pinned.count()},
        {"never destroyed: an NVRTC program", programs.count()},
        {"never destroyed: a cuBLASLt handle", products.count()},
        {"never destroyed: a description of a product", product_descriptions.count()},
        {"never destroyed: a layout", layouts.count()},
        {"never destroyed: a preference", preferences.count()},
    };
    for (const auto &[what, count] : counts)
        if (count) complain(std::string(what) + " (" + std::to_string(count) + ")");
}

}  // namespace emulation
