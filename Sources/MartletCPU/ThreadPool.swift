import CMartletKernels
import MartletParallel
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Threads for data-parallel regions: the caller works too, idle threads spin briefly and then sleep. One region at
/// a time, from one thread at a time; a region inside a region is a bug and traps.
///
/// Chunks are handed out as threads come for them: which thread runs a chunk is never to matter to a result.
package final class ThreadPool {
    /// Threads that work on a region, the caller's included.
    package let threadCount: Int
    private let crew: Crew
    private let shares: WorkShares
    private var threads: [pthread_t] = []

    /// `threadCount` at least 1. Fewer threads, in the end only the caller's, if the system refuses more. The pool's
    /// own stay on `processors`, if these are given.
    package init(threadCount: Int = ThreadPool.defaultThreadCount(), processors: [Int] = []) {
        precondition(threadCount > 0, "\(threadCount) threads")
        let crew = Crew()
        let work = {
            ThreadAffinity.pin(to: processors)
            crew.work()
        }
        for _ in 1..<max(threadCount, 1) {
            guard let thread = startThread(name: "martlet-pool", work) else { break }
            threads.append(thread)
        }
        self.crew = crew
        self.threadCount = threads.count + 1
        shares = WorkShares(count: threads.count + 1)
    }

    deinit {
        crew.stop()
        for thread in threads { pthread_join(thread, nil) }
    }

    /// Runs body(0) through body(count - 1), each once, and returns when all are done.
    package func parallel(_ count: Int, _ body: (Int) -> Void) {
        precondition(!crew.isBusy.exchange(true, ordering: .acquiring), "a parallel region inside another")
        defer { crew.isBusy.store(false, ordering: .releasing) }
        guard count > 1, threadCount > 1 else {
            for chunk in 0..<max(count, 0) { body(chunk) }
            return
        }
        withoutActuallyEscaping(body) { crew.run(count, $0) }
    }

    /// Cuts 0..<count into ranges of `grain` (the last may be shorter) and runs body on each.
    package func parallel(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        parallel((count + grain - 1) / grain) { chunk in
            body(chunk * grain..<min(count, (chunk + 1) * grain))
        }
    }

    /// Cuts 0..<count into ranges of up to `grain` and runs body on each: every thread goes through a share of its own
    /// in order, so that it reads on where it was, and whoever is done first helps the others from the back.
    package func parallel(sharing count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        precondition(count <= Int(UInt32.max), "\(count) chunks")
        guard count > grain, threadCount > 1 else { return parallel(count, grain: max(count, 1), body) }
        shares.fill(count, grain: grain)
        parallel(threadCount) { shares.work($0, grain: grain, body) }
    }

    /// The same of what may fail: throws the error of the lowest index that did; those above it may not have run.
    package func parallelThrowing(_ count: Int, _ body: (Int) throws -> Void) throws {
        let failure = Mutex<(index: Int, error: any Error)?>(nil)
        parallel(count) { index in
            if failure.withLock({ $0.map { $0.index < index } ?? false }) { return }
            do {
                try body(index)
            } catch {
                failure.withLock { held in
                    if held.map({ index < $0.index }) ?? true { held = (index, error) }
                }
            }
        }
        if let (_, error) = failure.withLock({ $0 }) { throw error }
    }

    /// Threads of the pool that wait without using a processor.
    var sleepingThreadCount: Int { crew.started.sleepingCount }
}

/// What the pool's threads share. `ticket` holds the number of the region in its upper half and the chunks not yet
/// taken in its lower: a thread that takes a chunk by compare-and-exchange knows that its region is not over, so the
/// region's other fields are stable until it reports the chunk done. A thread that comes late finds nothing to take
/// and is not waited for.
///
/// `@unchecked Sendable`: what is not atomic is written by the caller of `run` alone, while no chunk is out.
private final class Crew: @unchecked Sendable {
    let isBusy = Atomic<Bool>(false)
    private let ticket = Atomic<UInt64>(0)
    private let doneCount = Atomic<Int>(0)
    private let stopped = Atomic<Bool>(false)
    /// Where the pool's threads wait for a region, and its caller for the others.
    let started = WaitingRoom()
    private let finished = WaitingRoom()
    private var count = 0
    /// What a region does; unmanaged, since threads would quarrel over its count of references.
    private var job: Unmanaged<Job>?

    /// Runs one region; the caller takes chunks too.
    func run(_ count: Int, _ body: @escaping (Int) -> Void) {
        precondition(count <= Int(UInt32.max), "\(count) chunks")
        self.count = count
        let job = Job(body)
        self.job = .passUnretained(job)
        doneCount.store(0, ordering: .relaxed)
        let region = (ticket.load(ordering: .relaxed) >> 32) &+ 1
        ticket.store(region << 32 | UInt64(count), ordering: .sequentiallyConsistent)
        started.wake()
        takeChunks(of: region & 0xFFFF_FFFF)
        finished.wait { doneCount.load(ordering: .sequentiallyConsistent) == count }
        self.job = nil
        withExtendedLifetime(job) {}
    }

    /// The body of a region.
    private final class Job {
        let body: (Int) -> Void

        init(_ body: @escaping (Int) -> Void) { self.body = body }
    }

    func stop() {
        stopped.store(true, ordering: .sequentiallyConsistent)
        started.wake()
    }

    /// The life of a thread of the pool.
    func work() {
        var region: UInt64 = 0
        while awaitRegion(after: &region) { takeChunks(of: region) }
    }

    private func takeChunks(of region: UInt64) {
        var current = ticket.load(ordering: .acquiring)
        while current >> 32 == region, current & 0xFFFF_FFFF > 0 {
            let (taken, seen) = ticket.weakCompareExchange(
                expected: current, desired: current - 1, ordering: .acquiringAndReleasing)
            current = seen
            guard taken else { continue }
            let total = count
            job?._withUnsafeGuaranteedRef { $0.body(total - Int(seen & 0xFFFF_FFFF)) }
            let done = doneCount.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
            if done == total { finished.wake() }
            current = ticket.load(ordering: .acquiring)
        }
    }

    /// Waits for a region later than `region`; false when the pool stops.
    private func awaitRegion(after region: inout UInt64) -> Bool {
        started.wait { hasNews(&region) }
        return !stopped.load(ordering: .acquiring)
    }

    private func hasNews(_ region: inout UInt64) -> Bool {
        let latest = ticket.load(ordering: .sequentiallyConsistent) >> 32
        if latest == region { return stopped.load(ordering: .sequentiallyConsistent) }
        region = latest
        return true
    }
}
