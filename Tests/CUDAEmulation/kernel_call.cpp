#include "kernel_call.h"

#include "device.cuh"

namespace emulation {

flaw kernel_call::spoil() {
    emulation::machine &machine = machine::current();
    for (const planted_flaw &planted : machine.flaws) {
        if (std::string(kernel->name).compare(0, planted.kernel.size(), planted.kernel) != 0) continue;
        switch (planted.flaw) {
        case MARTLET_FLAW_BARRIER: return {weak_spot::barrier, planted.number, &machine.flaw_count};
        case MARTLET_FLAW_WARP_BARRIER: return {weak_spot::warp_barrier, planted.number, &machine.flaw_count};
        case MARTLET_FLAW_COPY_WAIT: return {weak_spot::copy_wait, planted.number, &machine.flaw_count};
        case MARTLET_FLAW_SHUFFLE: return {weak_spot::shuffle, planted.number, &machine.flaw_count};
        case MARTLET_FLAW_MATRIX_ROW: return {weak_spot::matrix_row, planted.number, &machine.flaw_count};
        case MARTLET_FLAW_ARGUMENT: {
            i32 *word = reinterpret_cast<i32 *>(arguments.at(planted.number).data());
            ++*word;
            break;
        }
        case MARTLET_FLAW_BLOCK: grid[0]--;
        }
        machine.flaw_count++;
    }
    return {};
}

CUresult kernel_call::run() {
    emulation::machine &machine = machine::current();
    const emulation::flaw flaw = spoil();
    std::vector<void *> parameters;
    for (auto &argument : arguments) parameters.push_back(argument.data());
    const bool is_forward = machine.options.order == MARTLET_EMULATION_FORWARD ||
                            (machine.options.order == MARTLET_EMULATION_EITHER && machine.random(2) == 0);
    const launch launch{kernel, {grid[0], grid[1], grid[2]}, threads, dynamic_shared, parameters.data(),
                        is_forward ? order::forward : order::backward, most_shared, flaw};
    const std::string wrong = emulation::run(launch);
    const bool is_intact = machine.devices[size_t(device)]->memory.is_intact();
    if (wrong.empty() && is_intact) return CUDA_SUCCESS;
    const std::string beside = std::string(kernel->name) + ": memory was written beside an allocation";
    machine.complain(wrong.empty() ? beside : wrong);
    const bool is_access = wrong.empty() || wrong.find("no memory") != std::string::npos;
    return is_access ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_FAILED;
}

}  // namespace emulation
