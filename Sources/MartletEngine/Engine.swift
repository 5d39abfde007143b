import MartletCore

/// The loop: schedule, launch, collect, postprocess, one event a sequence a step. An actor on a thread of its own;
/// what it owns is neither Sendable nor locked, and `step` has no `await` below it. One `Task.yield` a step lets
/// submit and cancel in, in their order.
package actor Engine<Runner: ModelRunner & SendableMetatype>: GenerationEngine {
    private nonisolated let executor: EngineExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private nonisolated let clock: EngineClock
    private nonisolated let watch: HealthWatch
    private nonisolated let progress: StepProgress
    private let runner: Runner
    private var scheduler: Scheduler
    private var outbox = EventOutbox()
    private nonisolated let streams = OpenStreams()
    private var tickets: [StepTicket] = []
    private var seeds: SeedSource
    private let index: Int
    private var nextRequest: UInt64 = 1
    private var failuresInARow = 0
    private var isDraining = false
    /// Where the loop sleeps while there is nothing to do.
    private var sleeper: CheckedContinuation<Void, Never>?
    private var drainers: [CheckedContinuation<Void, Never>] = []

    /// Steps that may fail one after the other before the engine gives up.
    private static var failureLimit: Int { 3 }

    /// Nothing moves before `run`. `silence`: how long it may go without a tick, to `health`. `index`: its place in a
    /// group.
    package init(
        configuration: EngineConfiguration, runner: sending Runner, seeds: SeedSource = .random(),
        clock: EngineClock = .monotonic(), silence: SilenceLimits = SilenceLimits(), index: Int = 0
    ) {
        self.index = index
        executor = EngineExecutor()
        progress = runner.progress
        watch = HealthWatch(progress: runner.progress, limits: silence, now: clock.now())
        scheduler = Scheduler(limits: runner.limits, configuration: configuration)
        self.runner = runner
        self.seeds = seeds
        self.clock = clock
    }

    deinit { executor.close() }

    /// Serves until the task is cancelled or the runner fails for good; whatever is unfinished then ends with an error.
    package func run() async {
        await withTaskCancellationHandler {
            while watch.deathReason == nil, !Task.isCancelled {
                if scheduler.isIdle {
                    rest()
                    await nextArrival()
                } else {
                    step()
                    await Task.yield()
                }
            }
            stop(reason: "The engine was stopped.")
        } onCancel: {
            progress.cancel()
            Task { await self.wake() }
        }
    }

    // MARK: GenerationEngine

    package func submit(_ request: GenerationRequest) async throws(EngineError) -> Generation {
        if let reason = watch.deathReason { throw .dead(reason: reason) }
        if isDraining { throw .draining }
        let id = RequestID(engine: index, number: nextRequest)
        let seed = request.sampling.seed ?? seeds.next()
        try scheduler.add(
            request, id: id, visionUnits: request.prompt.images.map { runner.visionUnitCount(of: $0.image) },
            seed: seed, now: clock.now())
        nextRequest += 1
        let choiceCount = max(1, request.sampling.choiceCount)
        let (sink, events) = EventSink.make(
            bufferLimit: scheduler.configuration.eventBufferLimit, choiceCount: choiceCount, route: request.route
        ) { [weak self] in
            Task { await self?.cancel(id) }
        }
        streams.open(id, sink: sink, choiceCount: choiceCount, observer: request.observer)
        wake()
        return Generation(id: id, events: events)
    }

    package func prefillAhead(_ tokens: [TokenID], cacheSalt: String) async {
        guard watch.deathReason == nil, !isDraining else { return }
        if scheduler.prefillAhead(tokens, cacheSalt: cacheSalt, now: clock.now()) { wake() }
    }

    package func cancel(_ id: RequestID) async {
        deliver(scheduler.cancel(id, now: clock.now()))
        outbox.post()
    }

    package func statistics() async -> EngineStatistics {
        var statistics = scheduler.statistics
        statistics.forwardSeconds = progress.forwardSeconds
        return statistics
    }

    package func drain(timeout: Duration) async {
        isDraining = true
        scheduler.endAllAhead()
        let deadline = Task {
            try await Task.sleep(for: timeout)
            self.endUnfinished(message: "The server is shutting down.")
        }
        while !scheduler.isIdle { await withCheckedContinuation { drainers.append($0) } }
        deadline.cancel()
    }

    package nonisolated func health() -> EngineHealth { watch.look(now: clock.now()) }

    /// Ends the engine from outside, for good and without its thread, which is stuck: every open stream gets an error.
    package nonisolated func abandon(reason: String) {
        watch.die(reason: reason)
        streams.failAll(message: reason)
        progress.cancel()
    }

    // MARK: The loop

    private func step() {
        watch.setBusy(true)
        let schedule = scheduler.schedule(now: clock.now(), cost: runner.costModel)
        deliver(schedule.actions)
        // Whoever reads wakes up while the step runs.
        outbox.post()
        if let step = schedule.step { launch(step) }
        if tickets.count >= max(1, runner.limits.depth) || (schedule.step == nil && !tickets.isEmpty) {
            collect()
        } else if schedule.step == nil, !scheduler.isIdle, scheduler.inFlightCount == 0 {
            scheduler.countStuck()
            endUnfinished(message: "The engine could not go on with this request.")
        }
    }

    private func launch(_ step: ScheduledStep) {
        do {
            for registration in step.registrations { try runner.register(registration.image, as: registration.id) }
        } catch {
            // An image the runner will not have says nothing about its health: it does not count towards the limit.
            return deliver(
                scheduler.fail(
                    stepIndex: step.plan.index, message: "The image was refused: \(error)", now: clock.now()))
        }
        do {
            tickets.append(try runner.launch(step.plan))
        } catch {
            fail(step.plan.index, error)
        }
    }

    private func collect() {
        let ticket = tickets.removeFirst()
        do {
            deliver(scheduler.postprocess(try runner.collect(ticket), now: clock.now()))
            failuresInARow = 0
        } catch {
            fail(ticket.index, error)
        }
    }

    private func fail(_ stepIndex: UInt64, _ error: any Error) {
        failuresInARow += 1
        let lost = error as? RunnerLost
        let message = lost?.reason ?? "The step failed: \(error)"
        deliver(scheduler.fail(stepIndex: stepIndex, message: message, now: clock.now()))
        if let lost { return stop(reason: lost.reason) }
        if failuresInARow >= Self.failureLimit {
            stop(reason: "\(failuresInARow) steps failed one after the other; the last: \(error)")
        }
    }

    /// Into the outbox, which is posted before the next step, or when there is none.
    private func deliver(_ actions: [EngineAction]) { streams.deliver(actions, into: &outbox) }

    // MARK: Rest and end

    /// Nothing is left to do, by a step or by a cancel: the books are checked, and whoever drains goes on.
    private func rest() {
        outbox.post()
        scheduler.checkIntegrity()
        watch.setBusy(false)
        for drainer in drainers { drainer.resume() }
        drainers = []
    }

    private func nextArrival() async {
        if !Task.isCancelled { await withCheckedContinuation { sleeper = $0 } }
    }

    private func wake() {
        sleeper?.resume()
        sleeper = nil
    }

    /// Ends what is unfinished. What the runner still computes is collected first, for it owns the slots until then.
    private func endUnfinished(message: String) {
        while !tickets.isEmpty { collect() }
        deliver(scheduler.endAll(message: message, now: clock.now()))
        rest()
    }

    private func stop(reason: String) {
        watch.die(reason: reason)
        progress.cancel()
        tickets = []
        deliver(scheduler.endAll(message: reason, now: clock.now()))
        rest()
    }
}
