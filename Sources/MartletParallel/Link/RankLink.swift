import Foundation
import MartletCore
import Synchronization

/// How ranks of different processes are told what to do, and know of each other that they live: connections of their
/// own between rank 0 and each other rank, and a thread of its own in every process, whatever the engine's does (D14).
///
/// A rank that closes its connection without an end, says a break-up, or is silent for `HeartbeatWatch.lossSeconds`
/// breaks up the group; a break-up is told to all.
package final class RankLink: Sendable {
    let peers: [LinkPeer]
    private let breakUp: BreakUp
    private let onOrder: @Sendable ([UInt8]) throws -> Void
    private let onEnd: @Sendable () -> Void
    /// Orders have ended: a connection that closes now is no loss.
    private let isEnding = Atomic<Bool>(false)
    private let alarm: Alarm
    /// What is known of the work of a rank, and who wants to know.
    private struct Listener {
        var ticks: UInt64 = 0
        let onProgress: @Sendable () -> Void
        let onReply: @Sendable ([UInt8]) throws -> Void
    }

    private let listeners = Mutex<[Int: Listener]>([:])
    private let ownTicks = Mutex<@Sendable () -> UInt64>({ 0 })

    /// `onOrder` and `onEnd` are called on the link's thread, by what rank 0 says; what `onOrder` throws breaks up the
    /// group.
    init(
        _ peers: [LinkPeer], breakUp: BreakUp, onOrder: @escaping @Sendable ([UInt8]) throws -> Void,
        onEnd: @escaping @Sendable () -> Void
    ) throws(LinkError) {
        self.peers = peers
        self.breakUp = breakUp
        self.onOrder = onOrder
        self.onEnd = onEnd
        alarm = try Alarm()
        guard let thread = startThread(name: "martlet-link", { self.run() }) else {
            throw LinkError("The system has no thread for the rank link")
        }
        pthread_detach(thread)
        breakUp.listen { [alarm] _ in alarm.ring() }
    }

    /// Rank 0's order to `ranks`. From an engine's thread; does not wait.
    package func order(_ bytes: [UInt8], to ranks: Range<Int>) throws(PlanCodingError) {
        let frame = try LinkFrame.order(bytes).encoded()
        for peer in peers where ranks.contains(peer.rank) { tell(peer, frame) }
    }

    /// To rank 0, what came of an order of its.
    package func reply(_ bytes: [UInt8]) throws(PlanCodingError) {
        let frame = try LinkFrame.reply(bytes).encoded()
        for peer in peers { tell(peer, frame) }
    }

    /// Rank 0: `onProgress` is called when rank `rank` is heard to have moved, `onReply` with what it replies; on the
    /// link's thread. What `onReply` throws breaks up the group.
    package func listen(
        to rank: Int, onProgress: @escaping @Sendable () -> Void,
        onReply: @escaping @Sendable ([UInt8]) throws -> Void = { _ in throw PlanCodingError.invalid(field: "kind") }
    ) {
        listeners.withLock { $0[rank] = Listener(onProgress: onProgress, onReply: onReply) }
    }

    /// The others: how often this rank's work has moved, which rank 0 is told with every sign of life.
    package func report(ticks: @escaping @Sendable () -> UInt64) { ownTicks.withLock { $0 = ticks } }

    /// Rank 0: there are no more orders. Others: all are done.
    package func end() {
        isEnding.store(true, ordering: .releasing)
        guard let frame = try? LinkFrame.end.encoded() else { return }
        for peer in peers { tell(peer, frame) }
    }

    private func tell(_ peer: LinkPeer, _ frame: [UInt8]) {
        switch peer.tell(frame) {
        case .gone: break
        case .waiting: alarm.ring()
        case .failed(let reason): lose(peer, reason)
        }
    }

    private func lose(_ peer: LinkPeer, _ reason: String) {
        peer.close()
        guard !isEnding.load(ordering: .acquiring) else { return }
        breakUp.say("rank \(peer.rank) is gone: \(reason)")
    }

    // MARK: The thread

    /// What one connection has brought so far.
    private struct Reading {
        let peer: LinkPeer
        var reader: LinkFrameReader
        var watch: HeartbeatWatch
        var isOpen = true
    }

    private func run() {
        let start = ContinuousClock.now
        func now() -> Double { (ContinuousClock.now - start) / .seconds(1) }
        var readings = peers.map { peer in
            var reading = Reading(peer: peer, reader: peer.reader, watch: HeartbeatWatch(now: now()))
            reading.reader.isTrusted = true
            return reading
        }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { room.deallocate() }
        for index in readings.indices { takeFrames(&readings[index]) }
        while breakUp.reason == nil, readings.contains(where: { $0.isOpen }) {
            wait(for: readings)
            for index in readings.indices where readings[index].isOpen {
                read(&readings[index], room, now: now())
                guard readings[index].isOpen, breakUp.reason == nil else { continue }
                let peer = readings[index].peer
                if readings[index].watch.isDue(now: now()) { tell(peer, heartbeat()) }
                if case .failed(let reason) = peer.flush() { lose(peer, reason) }
                if readings[index].watch.isLost(now: now()), !isEnding.load(ordering: .acquiring) {
                    lose(peer, "no sign of life for \(HeartbeatWatch.lossSeconds) s")
                }
            }
        }
        if let reason = breakUp.reason { farewell(reason) }
        for peer in peers { peer.close() }
    }

    /// Until something arrives, can go, or is due.
    private func wait(for readings: [Reading]) {
        var entries = readings.filter(\.isOpen).map { reading in
            let events = POLLIN | (reading.peer.hasMore ? POLLOUT : 0)
            return pollfd(fd: reading.peer.socket.descriptor, events: Int16(events), revents: 0)
        }
        entries.append(pollfd(fd: alarm.descriptor, events: Int16(POLLIN), revents: 0))
        _ = poll(&entries, nfds_t(entries.count), 100)
        alarm.silence()
    }

    private func read(_ reading: inout Reading, _ room: UnsafeMutableRawBufferPointer, now: Double) {
        // A few pieces at a time, so that nobody's large order keeps the others waiting.
        for _ in 0..<16 {
            switch reading.peer.socket.read(into: room) {
            case .nothing: return
            case .closed(let reason):
                reading.isOpen = false
                return lose(reading.peer, reason)
            case .bytes(let count):
                reading.watch.heard(now: now)
                reading.reader.append(UnsafeRawBufferPointer(rebasing: room[..<count]))
                takeFrames(&reading)
                guard reading.isOpen else { return }
            }
        }
    }

    private func takeFrames(_ reading: inout Reading) {
        do {
            while let frame = try reading.reader.next() { try take(frame, from: reading.peer) }
        } catch {
            reading.isOpen = false
            lose(reading.peer, "it says what nobody understands (\(error))")
        }
    }

    private func take(_ frame: LinkFrame, from peer: LinkPeer) throws {
        switch frame {
        case .heartbeat(let ticks): note(ticks, of: peer)
        case .reply(let bytes) where peer.rank != 0:
            try listeners.withLock { $0[peer.rank]?.onReply }?(bytes)
        case .breakUp(let reason): breakUp.say(reason)
        case .order(let bytes) where peer.rank == 0: try onOrder(bytes)
        case .end:
            if peer.rank == 0 { isEnding.store(true, ordering: .releasing) }
            onEnd()
        default: throw PlanCodingError.invalid(field: "kind")
        }
    }

    private func heartbeat() -> [UInt8] {
        let ticks = ownTicks.withLock { $0 }
        return (try? LinkFrame.heartbeat(ticks: ticks()).encoded()) ?? []
    }

    private func note(_ ticks: UInt64, of peer: LinkPeer) {
        let onProgress = listeners.withLock { listeners -> (@Sendable () -> Void)? in
            guard let known = listeners[peer.rank], known.ticks != ticks else { return nil }
            listeners[peer.rank]?.ticks = ticks
            return known.onProgress
        }
        onProgress?()
    }

    /// Tells all why, within a second.
    private func farewell(_ reason: String) {
        guard let frame = try? LinkFrame.breakUp(reason).encoded() else { return }
        var waiting = peers.filter { $0.tell(frame) == .waiting }
        for _ in 0..<20 where !waiting.isEmpty {
            usleep(50_000)
            waiting = waiting.filter { $0.flush() == .waiting }
        }
    }
}

/// Wakes a thread that waits for connections.
private final class Alarm: Sendable {
    let descriptor: Int32
    private let other: Int32

    init() throws(LinkError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LinkError("The system has no pipe for the rank link") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (descriptor, other) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(other)
    }

    func ring() {
        var byte: UInt8 = 1
        _ = write(other, &byte, 1)
    }

    func silence() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(descriptor, &bytes, bytes.count) > 0 {}
    }
}
