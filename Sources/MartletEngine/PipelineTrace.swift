import Synchronization

/// When the stages of a pipeline compute, told by a rank of each, from any thread.
package final class PipelineTrace: Sendable {
    private let times: Mutex<BusyTimes>
    private let start = ContinuousClock.now

    package init(stageCount: Int) { times = Mutex(BusyTimes(stageCount: stageCount)) }

    func note(stage: Int, isBusy: Bool) {
        times.withLock { $0.note(stage: stage, isBusy: isBusy, now: now()) }
    }

    /// Up to now; what lies between two looks is their difference.
    package func look() -> BusyTimes {
        times.withLock {
            $0.advance(to: now())
            return $0
        }
    }

    private func now() -> Double { (ContinuousClock.now - start) / .seconds(1) }
}

/// How long each stage of a pipeline computed, and how long all did at once; in seconds.
package struct BusyTimes: Sendable, Equatable {
    package private(set) var seconds = 0.0
    package private(set) var togetherSeconds = 0.0
    /// Of each stage.
    package private(set) var busySeconds: [Double]
    private var isBusy: [Bool]
    private var last = 0.0

    package init(stageCount: Int) {
        busySeconds = Array(repeating: 0, count: stageCount)
        isBusy = Array(repeating: false, count: stageCount)
    }

    /// From `now` on `stage` computes, or does not.
    package mutating func note(stage: Int, isBusy: Bool, now: Double) {
        advance(to: now)
        self.isBusy[stage] = isBusy
    }

    /// Counts what has been going on until `now`. A clock that went back counts as one that stood.
    package mutating func advance(to now: Double) {
        let passed = max(0, now - last)
        last = max(last, now)
        seconds += passed
        for stage in isBusy.indices where isBusy[stage] { busySeconds[stage] += passed }
        if isBusy.allSatisfy(\.self) { togetherSeconds += passed }
    }

    /// What was counted since `earlier`.
    package func since(_ earlier: BusyTimes) -> BusyTimes {
        var difference = self
        difference.seconds -= earlier.seconds
        difference.togetherSeconds -= earlier.togetherSeconds
        for stage in busySeconds.indices { difference.busySeconds[stage] -= earlier.busySeconds[stage] }
        return difference
    }

    /// What was counted in both stretches of time.
    package func adding(_ other: BusyTimes) -> BusyTimes {
        var sum = self
        sum.seconds += other.seconds
        sum.togetherSeconds += other.togetherSeconds
        for stage in busySeconds.indices { sum.busySeconds[stage] += other.busySeconds[stage] }
        return sum
    }

    /// 0…1: the time in which every stage computed.
    package var togetherShare: Double { seconds > 0 ? togetherSeconds / seconds : 0 }
    /// 0…1 for each stage: the time in which it did not compute.
    package var bubbleShares: [Double] { busySeconds.map { seconds > 0 ? 1 - $0 / seconds : 0 } }
}
