import Synchronization

/// Whether new requests should come here. Shared by the probes and the shutdown.
package final class Readiness: Sendable {
    package enum Phase: Int, AtomicRepresentable, Sendable {
        case loading, ready, draining
    }

    private let state: Atomic<Phase>

    package init(_ phase: Phase) { state = Atomic(phase) }

    package var phase: Phase { state.load(ordering: .acquiring) }
    package func become(_ phase: Phase) { state.store(phase, ordering: .releasing) }
}
