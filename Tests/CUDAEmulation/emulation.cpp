// The C interface: emulations side by side, each with a table whose functions know which one they are of.
#include <cstdio>
#include <cstring>
#include <utility>

#include "machine.h"

namespace emulation {

static constexpr int most_open = 32;

static const char *const function_names[] = {
#define MARTLET_DRIVER_NAME(name, symbol, parameters) #name,
#define MARTLET_NAME(result, name, parameters) #name,
    MARTLET_DRIVER_FUNCTIONS(MARTLET_DRIVER_NAME) MARTLET_NVRTC_FUNCTIONS(MARTLET_NAME)
        MARTLET_CUBLASLT_FUNCTIONS(MARTLET_NAME) MARTLET_NCCL_FUNCTIONS(MARTLET_NAME)
};

function function_named(const char *name) {
    int index = 0;
    while (index < number::count && strcmp(function_names[index], name) != 0) index++;
    return function(index);
}

static std::mutex slots_mutex;
static std::unique_ptr<machine> slots[most_open];
static martlet_cuda tables[most_open];

/// A capture ends, whatever becomes of its graph.
static void end_without_graph(CUstream stream, CUgraph *graph) {
    emulated::cuStreamEndCapture(stream, graph);
    if (*graph) emulated::cuGraphDestroy(*graph);
    *graph = nullptr;
}

/// A function of the table of one slot: locks the machine there, and calls what all slots share.
template <int slot, int number, auto shared> struct slot_function;
template <int slot, int number, class Result, class... Parameters, Result (*shared)(Parameters...)>
struct slot_function<slot, number, shared> {
    static Result call(Parameters... parameters) {
        machine &machine = *slots[slot];
        const call_scope scope(machine);
        if constexpr (std::is_enum_v<Result>) {
            const admission admission = machine.enter(function(number));
            if (admission.is_answered) {
                if constexpr (number == emulation::number::cuStreamEndCapture) end_without_graph(parameters...);
                return Result(admission.answer);
            }
        }
        return shared(parameters...);
    }
};

template <int slot> static void fill(martlet_cuda &table) {
#define MARTLET_DRIVER_FILL(name, symbol, parameters) \
    table.driver.name = slot_function<slot, number::name, &emulated::name>::call;
#define MARTLET_FILL_NVRTC(result, name, parameters) \
    table.nvrtc.name = slot_function<slot, number::name, &emulated::name>::call;
#define MARTLET_FILL_CUBLASLT(result, name, parameters) \
    table.cublaslt.name = slot_function<slot, number::name, &emulated::name>::call;
#define MARTLET_FILL_NCCL(result, name, parameters) \
    table.nccl.name = slot_function<slot, number::name, &emulated::name>::call;
    MARTLET_DRIVER_FUNCTIONS(MARTLET_DRIVER_FILL)
    MARTLET_NVRTC_FUNCTIONS(MARTLET_FILL_NVRTC)
    MARTLET_CUBLASLT_FUNCTIONS(MARTLET_FILL_CUBLASLT)
    MARTLET_NCCL_FUNCTIONS(MARTLET_FILL_NCCL)
}

template <int... slots> static void fill(int slot, martlet_cuda &table, std::integer_sequence<int, slots...>) {
    (void)((slot == slots && (fill<slots>(table), true)) || ...);
}

static machine &machine_of(martlet_emulation *emulation) { return *reinterpret_cast<machine *>(emulation); }

static size_t write(const std::vector<std::string> &lines, char *text, size_t capacity) {
    std::string whole;
    for (const std::string &line : lines) whole += line + "\n";
    snprintf(text, capacity, "%s", whole.c_str());
    return lines.size();
}

}  // namespace emulation

using namespace emulation;

martlet_emulation_options martlet_emulation_defaults(void) {
    return {1, size_t(1) << 30, 89, 8, 12040, 1, 1, MARTLET_EMULATION_EITHER, 60};
}

martlet_emulation *martlet_emulation_open(martlet_emulation_options options) {
    const std::lock_guard<std::mutex> lock(slots_mutex);
    for (int slot = 0; slot < most_open; slot++) {
        if (slots[slot]) continue;
        slots[slot] = std::make_unique<machine>(options);
        fill(slot, tables[slot], std::make_integer_sequence<int, most_open>());
        tables[slot].has_nccl = options.has_nccl;
        tables[slot].driver_version = options.driver_version;
        return reinterpret_cast<martlet_emulation *>(slots[slot].get());
    }
    return nullptr;
}

const martlet_cuda *martlet_emulation_table(martlet_emulation *emulation) {
    const std::lock_guard<std::mutex> lock(slots_mutex);
    int slot = 0;
    while (slots[slot].get() != &machine_of(emulation)) slot++;
    return &tables[slot];
}

int martlet_emulation_plant(martlet_emulation *emulation, const char *function, uint64_t call, int error) {
    machine &machine = machine_of(emulation);
    const std::lock_guard<std::mutex> lock(machine.mutex);
    const emulation::function planted = function_named(function);
    if (planted == number::count) return 0;
    machine.planted.push_back({planted, machine.calls[planted] + call, error});
    return 1;
}

void martlet_emulation_lose(martlet_emulation *emulation, int device, uint64_t calls, CUresult error) {
    machine &machine = machine_of(emulation);
    const std::lock_guard<std::mutex> lock(machine.mutex);
    machine.devices[size_t(device)]->calls_left = calls;
    machine.devices[size_t(device)]->loss = error;
    if (calls == 0) machine.lose(*machine.devices[size_t(device)], error);
}

int martlet_emulation_forget(martlet_emulation *emulation, const char *function, uint64_t call) {
    return martlet_emulation_plant(emulation, function, call, 0);
}

void martlet_emulation_break(martlet_emulation *emulation, const char *kernel, martlet_emulation_flaw flaw,
                             int number) {
    machine &machine = machine_of(emulation);
    const std::lock_guard<std::mutex> lock(machine.mutex);
    machine.flaws.push_back({kernel, flaw, unsigned(number)});
}

uint64_t martlet_emulation_flaw_count(martlet_emulation *emulation) {
    machine &machine = machine_of(emulation);
    const std::lock_guard<std::mutex> lock(machine.mutex);
    return machine.flaw_count;
}

uint64_t martlet_emulation_calls(martlet_emulation *emulation, const char *function) {
    machine &machine = machine_of(emulation);
    const std::lock_guard<std::mutex> lock(machine.mutex);
    const emulation::function counted = function_named(function);
    return counted == number::count ? 0 : machine.calls[counted];
}

size_t martlet_emulation_complaints(martlet_emulation *emulation, char *text, size_t capacity) {
    machine &machine = machine_of(emulation);
    const std::lock_guard<std::mutex> lock(machine.mutex);
    return write(machine.complaints, text, capacity);
}

size_t martlet_emulation_close(martlet_emulation *emulation, char *text, size_t capacity) {
    const std::lock_guard<std::mutex> lock(slots_mutex);
    machine &machine = machine_of(emulation);
    {
        const call_scope scope(machine);
        machine.end();
    }
    const size_t count = write(machine.complaints, text, capacity);
    for (auto &slot : slots)
        if (slot.get() == &machine) slot.reset();
    return count;
}
