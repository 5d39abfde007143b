import MartletEngine
import NIOCore

/// Runs tasks on the event loop of a connection: an answer that streams takes no thread but the one that writes it.
///
/// Only for work that is short: a loop serves many connections.
final class EventLoopExecutor: TaskExecutor, EventRoute {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    var thread: ObjectIdentifier { ObjectIdentifier(loop) }

    func run(_ work: @escaping @Sendable () -> Void) { loop.execute(work) }
}
