// What streams are given to do, and the objects that hold it.
#ifndef MARTLET_WORK_H
#define MARTLET_WORK_H
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "CCUDA.h"

namespace emulation {

struct exchange;

/// One piece of work of a stream.
struct operation {
    enum kind { compute, record, wait, meet };
    operation::kind kind;
    /// compute: does it, and gives what went wrong, if anything.
    std::function<CUresult()> run = nullptr;
    /// record, wait: the place in a stream that this recording of the event names.
    CUevent event = nullptr;
    uint64_t recording = 0;
    /// meet: makes this rank's part of an exchange between devices, once the stream is known that it is put on.
    std::function<std::shared_ptr<exchange>()> join = nullptr;
    std::shared_ptr<emulation::exchange> exchange = nullptr;
};

/// Work written down by a capture; `after`: the nodes that must be done before.
struct node {
    operation work;
    std::vector<size_t> after;
};

/// A capture that goes on: it began on `origin`, and streams join it by waiting for its events.
struct capture {
    CUstream origin;
    CUstreamCaptureMode mode;
    std::thread::id thread;
    std::vector<CUstream> members;
    std::vector<node> nodes;
    bool is_broken = false;
};

}  // namespace emulation

struct CUctx_st {
    int device;
    int retained;
    /// What every call returns from now on, if not CUDA_SUCCESS.
    CUresult lost;
};

struct CUstream_st {
    int device;
    std::deque<emulation::operation> queue;
    std::shared_ptr<emulation::capture> capture;
    /// While captured: the nodes that the next one comes after.
    std::vector<size_t> frontier;
};

struct CUevent_st {
    int device;
    bool is_timed;
    /// Recordings are counted from 1 on; which streams they are in, and the last that was reached.
    uint64_t recorded = 0, reached = 0;
    std::map<uint64_t, CUstream> streams;
    double reached_at = 0;
    std::shared_ptr<emulation::capture> capture;
    std::vector<size_t> frontier;
};

struct CUgraph_st {
    int device;
    std::vector<emulation::node> nodes;
};

struct CUgraphExec_st {
    int device;
    std::vector<emulation::node> nodes;
};

#endif
