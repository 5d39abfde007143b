// What one emulation consists of: devices, and all that was made on them.
#ifndef MARTLET_MACHINE_H
#define MARTLET_MACHINE_H
#include <condition_variable>
#include <mutex>
#include <random>
#include <string>

#include "CUDAEmulation.h"
#include "functions.h"
#include "guarded_memory.h"
#include "handles.h"
#include "libraries.h"
#include "work.h"

namespace emulation {

struct device {
    explicit device(size_t bytes) : memory(bytes) {}
    guarded_memory memory;
    CUctx_st context{};
    /// Counts calls down to the loss; 0: none is planted.
    uint64_t calls_left = 0;
    CUresult loss = CUDA_SUCCESS;
    std::vector<int> peers;
};

struct planted_error {
    function function;
    uint64_t call;
    int error;
};

struct planted_flaw {
    std::string kernel;
    martlet_emulation_flaw flaw;
    unsigned number;
};

/// What becomes of a call before its function is asked.
struct admission {
    bool is_answered;
    int answer;
};

/// Every function of the table runs with the machine locked; those that wait let go of it.
class machine {
  public:
    explicit machine(martlet_emulation_options options);

    /// That of the call in progress on this thread.
    static machine &current();

    /// Counts a call; answers it where an error is planted, or the device is lost.
    admission enter(function function);

    void complain(const std::string &what) { complaints.push_back(what); }

    /// The device that this thread's context is of, or NULL.
    device *current_device();
    void set_current(CUcontext context);
    device &of(const CUstream_st &stream) { return *devices[size_t(stream.device)]; }

    /// Puts work on a stream, or writes it down where the stream is captured.
    CUresult put(CUstream stream, operation work);
    /// Puts nodes on a stream in an order that they allow.
    void put(CUstream stream, const std::vector<node> &nodes);

    /// Lets streams work, `wanted` at least, until `is_done`; gives the device's loss, or a timeout.
    CUresult work_until(CUstream wanted, const std::function<bool()> &is_done);
    /// Does something of some stream, or nothing.
    bool work_anywhere();
    CUresult finish(CUstream stream);

    /// The first loss of a context stays.
    void lose(device &device, CUresult error);
    /// Ends what was made in a context, and complains of it.
    void end_context(device &device);
    /// Ends everything.
    void end();

    /// Whether the range lies in memory of a device, or of pinned memory of the host.
    bool is_device_memory(uint64_t address, size_t bytes) const;
    bool is_pinned(uint64_t address, size_t bytes) const { return pinned.holds(address, bytes); }

    /// Whether this thread captures in a mode that forbids calls which might order streams; breaks the capture.
    bool forbids_unsafe_call();

    uint64_t random(uint64_t below) { return generator() % below; }

    martlet_emulation_options options;
    std::mutex mutex;
    std::condition_variable_any changed;
    std::vector<std::unique_ptr<device>> devices;
    guarded_memory pinned{size_t(1) << 35};
    bool is_initialized = false, has_lost = false;

    handles<CUstream_st> streams;
    handles<CUevent_st> events;
    handles<CUmod_st> modules;
    handles<CUfunc_st> functions;
    handles<CUgraph_st> graphs;
    handles<CUgraphExec_st> executables;
    handles<_nvrtcProgram> programs;
    handles<cublasLtContext> products;
    handles<cublasLtMatmulDescOpaque> product_descriptions;
    handles<cublasLtMatrixLayoutOpaque> layouts;
    handles<cublasLtMatmulPreferenceOpaque> preferences;
    handles<ncclComm> communicators;
    std::vector<std::shared_ptr<capture>> captures;
    /// By unique id.
    std::map<std::string, std::shared_ptr<rank_group>> groups;
    uint64_t group_count = 0;

    std::vector<std::string> complaints;
    /// Error 0: forgotten.
    std::vector<planted_error> planted;
    std::vector<planted_flaw> flaws;
    uint64_t flaw_count = 0;
    std::vector<uint64_t> calls;

  private:
    bool work_on(CUstream stream);
    bool work_towards(CUstream stream, int depth);
    void finish_head(CUstream stream);

    std::mt19937_64 generator;
    uint64_t identity;
};

/// Makes `machine` the one of this thread's call.
struct call_scope {
    explicit call_scope(machine &machine);
    ~call_scope();
    std::lock_guard<std::mutex> lock;
};

}  // namespace emulation
#endif
