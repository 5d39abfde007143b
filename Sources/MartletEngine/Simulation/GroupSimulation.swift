import MartletCore

/// Data parallel engines in virtual time: the real chooser and the real schedulers on a load, with steps that take what
/// a cost model says. No thread, no clock, no weights: the same load gives the same report.
package struct GroupSimulation {
    /// What every replica is, and how it is run.
    package struct Setting: Sendable {
        package var limits: RunnerLimits
        package var configuration: EngineConfiguration
        package var cost: StepCost
        package var replicaCount: Int
        package var target: SimulationReport.Target
        /// After a step of an agent, what its next prompt begins with is computed while there is room.
        package var prefillsNextTurn: Bool
        /// Vision units of a picture of that many tokens.
        package var visionUnits: @Sendable (_ tokens: Int) -> Int

        package init(
            limits: RunnerLimits, configuration: EngineConfiguration, cost: StepCost, replicaCount: Int = 1,
            target: SimulationReport.Target = .init(firstToken: .infinity, perToken: .infinity),
            prefillsNextTurn: Bool = true, visionUnits: @escaping @Sendable (_ tokens: Int) -> Int = { _ in 1 }
        ) {
            self.limits = limits
            self.configuration = configuration
            self.cost = cost
            self.replicaCount = replicaCount
            self.target = target
            self.prefillsNextTurn = prefillsNextTurn
            self.visionUnits = visionUnits
        }
    }

    private enum Event {
        case arrival(SimulatedRequest)
        case turn(replica: Int)
    }

    /// A request on its way.
    private final class Live {
        let request: SimulatedRequest
        let choice: ReplicaChooser.Choice
        var firstToken: Double?
        var lastToken = 0.0
        var tokenCount = 0

        init(_ request: SimulatedRequest, _ choice: ReplicaChooser.Choice) {
            self.request = request
            self.choice = choice
        }
    }

    private let setting: Setting
    private let replicas: [SimulatedReplica]
    private var chooser: ReplicaChooser
    private var events = EventQueue<Event>()
    private var live: [UInt64: Live] = [:]
    private var shared: SharedKeys
    private var lastNumber: UInt64 = 0
    private var report = SimulationReport()

    private init(_ setting: Setting) {
        self.setting = setting
        replicas = (0..<setting.replicaCount).map { _ in
            SimulatedReplica(limits: setting.limits, configuration: setting.configuration, cost: setting.cost)
        }
        shared = SharedKeys(setting.configuration, blockSize: setting.limits.blockSize)
        chooser = ReplicaChooser(
            replicaCount: setting.replicaCount, blockSize: setting.limits.blockSize,
            keyLimit: setting.limits.blockCount)
    }

    /// Runs until everything that `load` sends is answered.
    package static func run(_ setting: Setting, _ load: some SimulatedLoad) -> SimulationReport {
        var simulation = GroupSimulation(setting)
        return simulation.run(load)
    }

    private mutating func run(_ load: some SimulatedLoad) -> SimulationReport {
        var load = load
        var start: Double?, end = 0.0
        for request in load.begin() { events.put(.arrival(request), at: request.arrival) }
        while let (now, event) = events.next() {
            switch event {
            case .arrival(let request):
                start = start ?? now
                end = now
                if let replica = arrive(request, now: now) { wake(replica, now: now) }
            case .turn(let replica):
                // Another turn may have come between.
                guard replicas[replica].wake == now else { continue }
                end = now
                turn(replica, now: now, &load)
            }
        }
        report.seconds = end - (start ?? 0)
        report.statistics = EngineStatistics(total: replicas.map(\.statistics))
        report.utilisations = replicas.map { report.seconds > 0 ? $0.busySeconds / report.seconds : 0 }.sorted()
        return report
    }

    /// Sends it to a replica. nil if nobody takes it: then its sender gives up.
    private mutating func arrive(_ request: SimulatedRequest, now: Double) -> Int? {
        report.requestCount += 1
        // Refused as the scheduler would, before its tokens are made: a trace may ask for any number of them.
        guard request.promptTokens < setting.limits.maxModelLength else {
            report.unfitCount += 1
            report.refusedCount += 1
            return nil
        }
        lastNumber += 1
        let number = lastNumber
        let prompt = request.prompt(number: number, vocabularyCount: setting.limits.vocabularyCount)
        var generation = GenerationRequest(prompt: prompt, sampling: SamplingParameters())
        generation.sampling.maxTokens = request.outputTokens
        generation.sampling.ignoresEndOfGeneration = true
        generation.blockKeys = shared.keys(of: prompt, request)
        let work = ReplicaChooser.Work(
            keys: generation.blockKeys, promptTokens: prompt.tokens.count, maxTokens: request.outputTokens)
        let units = prompt.images.map { setting.visionUnits($0.image.tokenCount) }
        var excluded: Set<Int> = []
        while let choice = chooser.choose(work, excluding: excluded) {
            do throws(EngineError) {
                try replicas[choice.replica].add(generation, number: number, visionUnits: units, now: now)
                live[number] = Live(request, choice)
                return choice.replica
            } catch {
                chooser.noteEnded(choice, isPrefilled: false)
                guard error == .queueFull else {
                    report.unfitCount += 1
                    break
                }
                excluded.insert(choice.replica)
            }
        }
        report.refusedCount += 1
        return nil
    }

    private mutating func turn(_ replica: Int, now: Double, _ load: inout some SimulatedLoad) {
        let vocabularyCount = setting.limits.vocabularyCount
        let actions = replicas[replica].turn(now: now) { [live] number, index in
            live[number]?.request.answer(at: index, number: number, vocabularyCount: vocabularyCount) ?? 0
        }
        if let wake = replicas[replica].wake { events.put(.turn(replica: replica), at: wake) }
        for action in actions { take(action, now: now, &load) }
    }

    private mutating func take(_ action: EngineAction, now: Double, _ load: inout some SimulatedLoad) {
        let number = action.request.value
        guard let state = live[number] else { return }
        switch action.event {
        case .started:
            report.queueing.observe(now - state.request.arrival)
        case .tokens(_, let tokens):
            if state.firstToken == nil {
                state.firstToken = now
                report.firstToken.observe(now - state.request.arrival)
                chooser.notePrefilled(state.choice)
            } else {
                report.interToken.observe(now - state.lastToken)
            }
            state.lastToken = now
            state.tokenCount += tokens.count
            report.outputTokens += tokens.count
        case .finished(_, let reason, _, _):
            live[number] = nil
            chooser.noteEnded(state.choice, isPrefilled: state.firstToken != nil)
            guard reason == .length, let first = state.firstToken else {
                report.failedCount += 1
                return
            }
            finish(state, first: first, now: now, &load)
        }
    }

    private mutating func finish(_ state: Live, first: Double, now: Double, _ load: inout some SimulatedLoad) {
        let request = state.request
        report.finishedCount += 1
        report.promptTokens += request.promptTokens
        report.endToEnd.observe(now - request.arrival)
        let perToken = (state.lastToken - first) / Double(max(1, state.tokenCount - 1))
        if first - request.arrival <= setting.target.firstToken, perToken <= setting.target.perToken {
            report.goodCount += 1
        }
        guard let next = load.next(after: request, now: now) else { return }
        events.put(.arrival(next), at: next.arrival)
        guard setting.prefillsNextTurn, next.imageTokens > 0 else { return }
        prefillAhead(next, now: now)
    }

    /// What stands in front of the next picture.
    private mutating func prefillAhead(_ next: SimulatedRequest, now: Double) {
        var known = next
        known.promptTokens = next.sharedTokens
        known.imageTokens = 0
        let prompt = known.prompt(number: 0, vocabularyCount: setting.limits.vocabularyCount)
        let keys = shared.keys(of: prompt, known)
        guard let replica = setting.replicaCount == 1 ? 0 : chooser.chooseAhead(keys) else { return }
        replicas[replica].prefillAhead(prompt.tokens, blockKeys: keys, now: now)
        wake(replica, now: now)
    }

    /// Behind whatever else happens at `now`.
    private mutating func wake(_ replica: Int, now: Double) {
        guard replicas[replica].wake != now else { return }
        replicas[replica].wake = now
        events.put(.turn(replica: replica), at: now)
    }
}
