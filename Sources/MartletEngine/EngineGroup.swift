import MartletCore
import Synchronization

/// Several engines as one (data parallelism): each has a loop, a thread, a KV cache and a queue of its own, and a
/// request goes to one of them for good. A group of one is the ordinary case and does nothing of its own.
///
/// They stand and fall together: when one has ended the process is to be started anew.
package final class EngineGroup<Runner: ModelRunner & SendableMetatype>: GenerationEngine {
    private let engines: [Engine<Runner>]
    private let blockSize: Int
    private let configuration: EngineConfiguration
    private let state: Mutex<State>

    private struct State {
        var chooser: ReplicaChooser
        var seeds: SeedSource
        var prefilled: Set<UInt64> = []
        var nextTicket: UInt64 = 0
    }

    /// - Parameters:
    ///   - runners: at least one, with equal limits; each gets an engine with all limits of `configuration` to itself.
    ///   - seeds: for requests that bring none, so that what they get does not depend on where they go.
    ///   - silence: how long each may go without a tick, to `health`.
    package init(
        configuration: EngineConfiguration, runners: sending [Runner], seeds: SeedSource = .random(),
        silence: SilenceLimits = SilenceLimits()
    ) {
        precondition(!runners.isEmpty, "a group of no engines")
        self.configuration = configuration
        let limits = runners[0].limits
        blockSize = limits.blockSize
        let chooser = ReplicaChooser(
            replicaCount: runners.count, blockSize: limits.blockSize, keyLimit: limits.blockCount)
        state = Mutex(State(chooser: chooser, seeds: seeds))
        engines = runners.enumerated().map { index, runner in
            // Nobody else has it: it came with the array, which goes.
            nonisolated(unsafe) let runner = runner
            return Engine(configuration: configuration, runner: runner, seeds: seeds, silence: silence, index: index)
        }
    }

    package var engineCount: Int { engines.count }

    /// Until the task is cancelled or one of the engines has ended; then all have.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            for engine in engines { group.addTask { await engine.run() } }
            await group.next()
            group.cancelAll()
        }
    }

    /// What one engine does not take goes to another: refused only if all of them refuse it.
    package func submit(_ request: GenerationRequest) async throws(EngineError) -> Generation {
        guard engines.count > 1 else { return try await engines[0].submit(request) }
        var request = request
        request.blockKeys = keys(of: request.prompt, salt: request.cacheSalt)
        let work = ReplicaChooser.Work(
            keys: request.blockKeys, promptTokens: request.prompt.tokens.count, maxTokens: request.sampling.maxTokens,
            choiceCount: request.sampling.choiceCount)
        var excluded: Set<Int> = []
        var refusal = EngineError.queueFull
        while true {
            let found = state.withLock { state -> (choice: ReplicaChooser.Choice, ticket: UInt64)? in
                guard let choice = state.chooser.choose(work, excluding: excluded) else { return nil }
                if request.sampling.seed == nil { request.sampling.seed = state.seeds.next() }
                state.nextTicket += 1
                return (choice, state.nextTicket)
            }
            guard let (choice, ticket) = found else { throw refusal }
            request.observer = { [weak self] milestone in self?.note(milestone, of: choice, ticket) }
            do {
                return try await engines[choice.replica].submit(request)
            } catch {
                note(.ended, of: choice, ticket)
                switch error {
                case .queueFull, .draining, .dead: refusal = error
                default: throw error
                }
                excluded.insert(choice.replica)
            }
        }
    }

    /// Goes to who has the beginning of it: a replica that would have to compute all of it has better things to do.
    package func prefillAhead(_ tokens: [TokenID], cacheSalt: String) async {
        guard engines.count > 1 else { return await engines[0].prefillAhead(tokens, cacheSalt: cacheSalt) }
        let keys = keys(of: Prompt(tokens: tokens), salt: cacheSalt)
        guard let replica = state.withLock({ $0.chooser.chooseAhead(keys) }) else { return }
        await engines[replica].prefillAhead(tokens, cacheSalt: cacheSalt)
    }

    package func cancel(_ id: RequestID) async {
        if engines.indices.contains(id.engine) { await engines[id.engine].cancel(id) }
    }

    package func statistics() async -> EngineStatistics { EngineStatistics(total: await statisticsByEngine()) }

    package func statisticsByEngine() async -> [EngineStatistics] {
        await withTaskGroup(of: (Int, EngineStatistics).self) { group in
            for (index, engine) in engines.enumerated() { group.addTask { (index, await engine.statistics()) } }
            var found = [EngineStatistics](repeating: EngineStatistics(), count: engines.count)
            for await (index, statistics) in group { found[index] = statistics }
            return found
        }
    }

    package func drain(timeout: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            for engine in engines { group.addTask { await engine.drain(timeout: timeout) } }
        }
    }

    /// Of the worst of them.
    package nonisolated func health() -> EngineHealth {
        engines.map { $0.health() }.max { $0.severity < $1.severity } ?? .alive
    }

    /// Ends all of them from outside, as `Engine.abandon` does.
    package nonisolated func abandon(reason: String) {
        for engine in engines { engine.abandon(reason: reason) }
    }

    private func keys(of prompt: Prompt, salt: String) -> [BlockKey] {
        guard configuration.enablePrefixCaching else { return [] }
        return BlockKey.chain(
            of: prompt, blockSize: blockSize, modelIdentity: configuration.modelIdentity, salt: salt)
    }

    private func note(_ milestone: RequestMilestone, of choice: ReplicaChooser.Choice, _ ticket: UInt64) {
        state.withLock { state in
            switch milestone {
            case .prefilled:
                state.prefilled.insert(ticket)
                state.chooser.notePrefilled(choice)
            case .ended:
                let isPrefilled = state.prefilled.remove(ticket) != nil
                state.chooser.noteEnded(choice, isPrefilled: isPrefilled)
            }
        }
    }
}

extension EngineHealth {
    /// Greater is worse: by kind, then by time.
    fileprivate var severity: (Int, Double) {
        switch self {
        case .alive: (0, 0)
        case .silent(let seconds): (1, seconds)
        case .stalled(let seconds): (2, seconds)
        case .lost(let seconds): (3, seconds)
        case .dead: (4, 0)
        }
    }
}
