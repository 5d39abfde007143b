import Dispatch
import Synchronization

/// Runs blocking work (decoding images) on threads of its own, at most `width` pieces at once: neither the event
/// loops nor Swift's few task threads ever wait for a PNG.
final class WorkGate: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "martlet.media", attributes: .concurrent)

    init(width: Int) {
        precondition(width > 0, "a gate has a width")
        state = Mutex(State(free: width))
    }

    /// The result of `work`; waits for a free place first.
    func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        await enter()
        defer { leave() }
        let result: Result<Value, APIError> = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Result(catching: work)) }
        }
        return try result.get()
    }

    /// As `run`, for `work` that waits without a thread.
    func hold<Value: Sendable>(
        _ work: @Sendable () async throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        await enter()
        defer { leave() }
        return try await work()
    }

    private func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if !state.waiting.isEmpty { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}
