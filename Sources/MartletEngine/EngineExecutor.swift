import DequeModule
import Foundation

/// A thread of its own for an actor that computes for long: jobs run in the order they came, and nobody else's
/// thread ever waits for a step.
///
/// `@unchecked Sendable`: `jobs` and `isClosed` are touched only under `condition`.
package final class EngineExecutor: SerialExecutor, @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs = Deque<UnownedJob>()
    private var isClosed = false

    /// Starts the thread; it keeps the executor until `close`.
    package init(name: String = "martlet-engine", stackBytes: Int = 8 << 20) {
        let thread = Thread {
            Self.nameThread(name)
            self.run()
        }
        thread.stackSize = stackBytes
        thread.start()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
    }

    /// The thread ends once it has run what is queued. Called by the actor's deinit: nothing is queued after it.
    package func close() {
        condition.lock()
        isClosed = true
        condition.signal()
        condition.unlock()
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// For `top` and `perf`, where the system has a file for that. `Thread.name` is lost now and then: it is set before
    /// the thread knows itself.
    private static func nameThread(_ name: String) {
        guard let file = fopen("/proc/thread-self/comm", "w") else { return }
        fputs(name, file)
        fclose(file)
    }

    private func run() {
        while let job = nextJob() { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }

    private func nextJob() -> UnownedJob? {
        condition.lock()
        defer { condition.unlock() }
        while jobs.isEmpty, !isClosed { condition.wait() }
        return jobs.popFirst()
    }
}
