import Synchronization

/// Whether ranks of several processes still work together, and why not: asked in every wait, said from any thread.
package final class BreakUp: Sendable {
    private struct State {
        var reason: String?
        var listeners: [@Sendable (String) -> Void] = []
    }

    private let flag = Atomic<Bool>(false)
    private let state = Mutex(State())

    package init() {}

    package var isBroken: Bool { flag.load(ordering: .acquiring) }
    /// nil while it is not.
    package var reason: String? { state.withLock { $0.reason } }

    /// The first reason stays.
    package func say(_ reason: String) {
        let listeners = state.withLock { state -> [@Sendable (String) -> Void] in
            guard state.reason == nil else { return [] }
            state.reason = reason
            flag.store(true, ordering: .releasing)
            defer { state.listeners = [] }
            return state.listeners
        }
        for listener in listeners { listener(reason) }
    }

    /// `listener` is called once, on the thread that breaks up, or at once where that has happened.
    package func listen(_ listener: @escaping @Sendable (String) -> Void) {
        let reason = state.withLock { state in
            if state.reason == nil { state.listeners.append(listener) }
            return state.reason
        }
        if let reason { listener(reason) }
    }

    /// What an operation throws that finds it broken.
    var error: CommunicatorError? { isBroken ? reason.map { CommunicatorError(reason: $0) } : nil }
}
