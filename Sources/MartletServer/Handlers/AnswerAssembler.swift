import MartletCore
import MartletEngine

/// The text side of one request: its generations' events in, deltas and usage out. Choice `k` of generation `g` has
/// the index `g * choiceCount + k`, as OpenAI numbers the choices of several prompts.
struct AnswerAssembler: Sendable {
    private let choicesPerGeneration: Int
    private var choices: [ChoiceAssembler]
    private var usages: [Usage]
    /// By generation.
    private var isAdmitted: [Bool]

    /// - Parameter plans: one a generation, with the usage that is known before it starts.
    init(_ plans: [(plan: ChoiceAssembler.Plan, promptTokens: Int, imageTokens: Int)], choicesPerGeneration: Int) {
        self.choicesPerGeneration = choicesPerGeneration
        choices = []
        usages = []
        isAdmitted = [Bool](repeating: false, count: plans.count)
        for (generation, plan) in plans.enumerated() {
            for choice in 0..<choicesPerGeneration {
                choices.append(ChoiceAssembler(plan.plan, index: generation * choicesPerGeneration + choice))
            }
            usages.append(Usage(promptTokens: plan.promptTokens, imageTokens: plan.imageTokens))
        }
    }

    var choiceCount: Int { choices.count }
    var isFinished: Bool { choices.allSatisfy(\.isFinished) }

    /// Every choice of this generation has ended, maybe by stop strings that the engine knows nothing of.
    func isFinished(generation: Int) -> Bool {
        choices[range(generation)].allSatisfy(\.isFinished)
    }

    /// Over all generations, so far.
    var usage: Usage {
        var total = usages.reduce(Usage(), +)
        total.completionTokens = choices.reduce(0) { $0 + $1.tokenCount }
        return total
    }

    /// The delta of one event; nil if it brings none. Events of finished choices are ignored.
    mutating func take(_ event: GenerationEvent, generation: Int) throws(APIError) -> ChoiceDelta? {
        switch event {
        case .started(let promptTokens, let cachedTokens):
            usages[generation].promptTokens = promptTokens
            usages[generation].cachedTokens = cachedTokens
            isAdmitted[generation] = true
            return nil
        case .tokens(let choice, let tokens):
            let index = range(generation).lowerBound + choice
            guard choice < choicesPerGeneration, !choices[index].isFinished else { return nil }
            return choices[index].append(tokens)
        case .finished(let choice, let reason, let stopToken, let message):
            let index = range(generation).lowerBound + choice
            guard choice < choicesPerGeneration, !choices[index].isFinished else { return nil }
            switch reason {
            case .stop, .length: return choices[index].finish(reason, stopToken: stopToken)
            case .cancelled, .error: throw .generationFailed(message, wasAdmitted: isAdmitted[generation])
            }
        }
    }

    private func range(_ generation: Int) -> Range<Int> {
        generation * choicesPerGeneration..<(generation + 1) * choicesPerGeneration
    }
}
