#include "block.h"

#include <csetjmp>
#include <csignal>
#include <memory>
#include <mutex>

#include "device.cuh"
#include "fibre.h"
#include "shared_memory.h"

namespace emulation {

static constexpr unsigned most_threads = 1024;

/// A copy that its thread has asked for and not waited for; `source` NULL: zeros.
struct pending_copy {
    void *target;
    const void *source;
    unsigned group;
};

struct thread_state {
    continuation at;
    place where;
    std::vector<pending_copy> copies;
    unsigned groups;
    /// How much it has done of what the kernel's flaw is in.
    unsigned done;
};

/// Bits are lanes: those that exist and have not ended, that can run, and that wait in a collective.
struct warp_state {
    u32 live, ready, met;
    const char *meeting;
    void (*perform)(void *const brought[32]);
    void *brought[32];
};

/// The block that runs on this thread of the host.
struct block_state {
    emulation::launch launch;
    stacks stacks;
    shared_memory shared;
    continuation scheduler;
    thread_state threads[most_threads];
    warp_state warps[most_threads / 32];
    unsigned warp_count, warp, running, live, at_barrier;
    std::string error;
    sigjmp_buf fault;
    bool may_fault;
};

/// NULL where no launch runs on this thread of the host.
static thread_local block_state *running_block;

static block_state &state() { return *running_block; }

/// What a launch runs in, lent for its time: stacks and their guard pages are too many mappings for each thread to have
/// its own.
class lent_block {
  public:
    lent_block() {
        const std::lock_guard<std::mutex> lock(mutex);
        if (idle.empty()) idle.push_back(std::make_unique<block_state>());
        block = std::move(idle.back());
        idle.pop_back();
        running_block = block.get();
    }
    ~lent_block() {
        running_block = nullptr;
        const std::lock_guard<std::mutex> lock(mutex);
        idle.push_back(std::move(block));
    }
    lent_block(const lent_block &) = delete;

  private:
    static std::mutex mutex;
    static std::vector<std::unique_ptr<block_state>> idle;
    std::unique_ptr<block_state> block;
};
std::mutex lent_block::mutex;
std::vector<std::unique_ptr<block_state>> lent_block::idle;

__thread const place *current_place;

static unsigned first_of(u32 lanes, order order) {
    return order == order::forward ? unsigned(__builtin_ctz(lanes)) : 31 - unsigned(__builtin_clz(lanes));
}

/// The thread that goes on: of the same warp, else of the first warp that can, else after the barrier that all reached.
static int choose(block_state &block) {
    const order order = block.launch.order;
    for (int turn = 0; turn < 2; turn++) {
        if (const u32 ready = block.warps[block.warp].ready) return int(block.warp * 32 + first_of(ready, order));
        for (unsigned step = 0; step < block.warp_count; step++) {
            const unsigned warp = order == order::forward ? step : block.warp_count - 1 - step;
            if (!block.warps[warp].ready) continue;
            block.warp = warp;
            return int(warp * 32 + first_of(block.warps[warp].ready, order));
        }
        if (block.live == 0 || block.at_barrier != block.live) return -1;
        for (unsigned warp = 0; warp < block.warp_count; warp++) block.warps[warp].ready = block.warps[warp].live;
        block.at_barrier = 0;
        block.warp = order == order::forward ? 0 : block.warp_count - 1;
    }
    return -1;
}

/// Leaves the thread that runs for the next that can, or for the scheduler.
static void leave(block_state &block) {
    continuation *from = &block.threads[block.running].at;
    const int next = choose(block);
    if (next == int(block.running)) return;
    if (next < 0) return martlet_fibre_switch(from, block.scheduler);
    block.running = unsigned(next);
    current_place = &block.threads[next].where;
    martlet_fibre_switch(from, block.threads[next].at);
}

static u32 own_bit(const block_state &block) { return 1u << (block.running & 31); }
static warp_state &own_warp(block_state &block) { return block.warps[block.running / 32]; }

static void run_thread() {
    block_state &block = state();
    block.launch.kernel->call(block.launch.kernel->function, block.launch.parameters);
    own_warp(block).ready &= ~own_bit(block);
    own_warp(block).live &= ~own_bit(block);
    block.live--;
    leave(block);
    __builtin_unreachable();
}

static std::string at(const place &where) {
    return "block (" + std::to_string(where.block.x) + ", " + std::to_string(where.block.y) + ", " +
           std::to_string(where.block.z) + "), thread " + std::to_string(where.thread.x);
}

void fail(const std::string &reason) {
    block_state &block = state();
    block.error = at(*current_place) + ": " + reason;
    continuation abandoned;
    martlet_fibre_switch(&abandoned, block.scheduler);
    __builtin_unreachable();
}

bool is_flawed(weak_spot spot) {
    block_state &block = state();
    const flaw &flaw = block.launch.flaw;
    if (flaw.spot != spot || block.threads[block.running].done++ != flaw.number) return false;
    ++*flaw.count;
    return true;
}

void sync_block() {
    if (is_flawed(weak_spot::barrier)) return;
    block_state &block = state();
    own_warp(block).ready &= ~own_bit(block);
    block.at_barrier++;
    leave(block);
}

void meet(const char *name, void *brought, void (*perform)(void *const brought[32])) {
    block_state &block = state();
    warp_state &warp = own_warp(block);
    if (warp.met && warp.perform != perform) {
        fail(std::string(name) + " while other lanes of its warp are at " + warp.meeting);
    }
    warp.meeting = name;
    warp.perform = perform;
    warp.brought[block.running & 31] = brought;
    warp.met |= own_bit(block);
    warp.ready &= ~own_bit(block);
    if (warp.met == ~0u) {
        perform(warp.brought);
        warp.met = 0;
        warp.ready = ~0u;
    }
    leave(block);
}

void copy_async(void *target, const void *source, bool is_valid) {
    if (!is_shared(target, 16)) fail("copy_async_16 to what is not shared memory");
    const u64 misaligned = (reinterpret_cast<u64>(target) | (is_valid ? reinterpret_cast<u64>(source) : 0)) & 15;
    if (misaligned) fail("copy_async_16 with an address that is no multiple of 16");
    thread_state &thread = state().threads[state().running];
    thread.copies.push_back({target, is_valid ? source : nullptr, thread.groups});
}

void copy_async_commit() { state().threads[state().running].groups++; }

void copy_async_wait(int latest) {
    if (is_flawed(weak_spot::copy_wait)) return;
    thread_state &thread = state().threads[state().running];
    size_t kept = 0;
    for (const pending_copy &copy : thread.copies) {
        if (copy.group + unsigned(latest) >= thread.groups) {
            thread.copies[kept++] = copy;
        } else if (copy.source) {
            std::memcpy(copy.target, copy.source, 16);
        } else {
            std::memset(copy.target, 0, 16);
        }
    }
    thread.copies.resize(kept);
}

void *shared_place(const void *tag, size_t size, size_t alignment) {
    void *place = state().shared.place(tag, size, alignment);
    if (!place) fail("more static and dynamic shared memory than the launch may have");
    return place;
}

void *dynamic_shared() { return state().shared.dynamic(); }

bool is_shared(const void *address, size_t size) { return state().shared.contains(address, size); }

static std::string deadlock(const block_state &block) {
    std::string text = std::to_string(block.at_barrier) + " of " + std::to_string(block.live) +
                       " threads wait at a barrier for ever";
    for (unsigned warp = 0; warp < block.warp_count; warp++) {
        if (!block.warps[warp].met) continue;
        text += "; warp " + std::to_string(warp) + " has " + std::to_string(__builtin_popcount(block.warps[warp].met)) +
                " of 32 lanes at " + block.warps[warp].meeting;
    }
    return text;
}

/// Runs the block whose threads have been prepared.
static void run_block(block_state &block) {
    const int first = choose(block);
    block.running = unsigned(first);
    current_place = &block.threads[first].where;
    martlet_fibre_switch(&block.scheduler, block.threads[first].at);
    const place &last = block.threads[block.running].where;
    if (block.error.empty() && block.live) block.error = at(last) + ": " + deadlock(block);
    if (block.error.empty() && !block.shared.is_intact()) {
        block.error = at(last) + ": shared memory was written beside its variables";
    }
}

static void prepare(block_state &block, index3 index) {
    const emulation::launch &launch = block.launch;
    const index3 grid{launch.grid[0], launch.grid[1], launch.grid[2]};
    for (unsigned thread = 0; thread < launch.threads; thread++) {
        thread_state &each = block.threads[thread];
        each.at = block.stacks.start(thread, run_thread);
        each.where = {{thread, 0, 0}, index, {launch.threads, 1, 1}, grid};
        each.copies.clear();
        each.groups = each.done = 0;
    }
    block.warp_count = (launch.threads + 31) / 32;
    for (unsigned warp = 0; warp < block.warp_count; warp++) {
        const unsigned lanes = launch.threads - warp * 32;
        const u32 live = lanes >= 32 ? ~0u : (1u << lanes) - 1;
        block.warps[warp].live = block.warps[warp].ready = live;
        block.warps[warp].met = 0;
    }
    block.live = launch.threads;
    block.at_barrier = 0;
    block.warp = launch.order == order::forward ? 0 : block.warp_count - 1;
    block.shared.begin(launch.dynamic_shared, launch.most_shared);
}

static struct sigaction before_us[2];

/// An address that is no memory ends the launch, if one runs on this thread; else whoever was asked before us decides.
static void on_fault(int signal, siginfo_t *, void *) {
    if (running_block && running_block->may_fault) siglongjmp(running_block->fault, 1);
    sigaction(signal, &before_us[signal == SIGBUS], nullptr);
}

static void watch_faults() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO;
        sigemptyset(&action.sa_mask);
        sigaction(SIGSEGV, &action, &before_us[0]);
        sigaction(SIGBUS, &action, &before_us[1]);
    });
}

std::string run(const launch &launch) {
    if (!launch.kernel) return "no kernel has this name";
    const std::string name = std::string(launch.kernel->name) + ": ";
    if (launch.threads == 0 || launch.threads > launch.kernel->most_threads) {
        return name + "blocks of " + std::to_string(launch.threads) + " threads, where KERNEL allows " +
               std::to_string(launch.kernel->most_threads);
    }
    watch_faults();
    const lent_block lent;
    block_state &block = state();
    block.launch = launch;
    block.error.clear();
    if (sigsetjmp(block.fault, 1) == 0) {
        block.may_fault = true;
        for (u32 z = 0; z < launch.grid[2] && block.error.empty(); z++)
            for (u32 y = 0; y < launch.grid[1] && block.error.empty(); y++)
                for (u32 x = 0; x < launch.grid[0] && block.error.empty(); x++) {
                    prepare(block, {x, y, z});
                    run_block(block);
                }
    } else {
        block.error = at(*current_place) + ": touched an address that is no memory";
    }
    block.may_fault = false;
    current_place = nullptr;
    return block.error.empty() ? "" : name + block.error;
}

}  // namespace emulation
