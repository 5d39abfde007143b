import MartletCore
import MartletEngine
import MartletTestSupport

extension Array {
    static func random(
        _ counts: Range<Int>, using random: inout SeededGenerator, _ element: (inout SeededGenerator) -> Element
    ) -> Self {
        (0..<Int.random(in: counts, using: &random)).map { _ in element(&random) }
    }
}

extension StepPlan {
    static func random(using random: inout SeededGenerator) -> StepPlan {
        var plan = StepPlan(index: .random(in: 0...UInt64.max, using: &random))
        plan.releases = .random(0..<4, using: &random) { .random(in: 0..<64, using: &$0) }
        plan.admissions = .random(0..<3, using: &random) { SlotAdmission.random(using: &$0) }
        plan.blockAppends = .random(0..<4, using: &random) {
            BlockAppend(
                slot: .random(in: 0..<64, using: &$0),
                blocks: .random(0..<9, using: &$0) { .random(in: 0..<9999, using: &$0) })
        }
        plan.visionWork = .random(0..<3, using: &random) {
            let first = Int.random(in: 0..<99, using: &$0)
            return VisionWork(image: .random(in: 0...UInt64.max, using: &$0), units: first..<(first + 3))
        }
        plan.chunks = .random(0..<4, using: &random) {
            let first = Int.random(in: 0..<99, using: &$0)
            return PrefillChunk(
                slot: .random(in: 0..<64, using: &$0), range: first..<(first + 9), samples: .random(using: &$0))
        }
        plan.decodes = .random(0..<9, using: &random) {
            SlotDecode(
                slot: .random(in: 0..<64, using: &$0),
                guesses: .random(0..<4, using: &$0) { .random(in: 0..<150_000, using: &$0) })
        }
        plan.imageReleases = .random(0..<3, using: &random) { .random(in: 0...UInt64.max, using: &$0) }
        return plan
    }
}

extension SlotAdmission {
    static func random(using random: inout SeededGenerator) -> SlotAdmission {
        let tokens: [TokenID] = .random(1..<20, using: &random) { .random(in: 0..<150_000, using: &$0) }
        var sampling = SamplingParameters()
        sampling.temperature = .random(in: 0...2, using: &random)
        sampling.topK = .random(in: 0..<100, using: &random)
        sampling.topP = .random(in: 0...1, using: &random)
        sampling.minP = .random(in: 0...1, using: &random)
        sampling.seed = Bool.random(using: &random) ? .random(in: 0...UInt64.max, using: &random) : nil
        sampling.presencePenalty = .random(in: -2...2, using: &random)
        sampling.frequencyPenalty = .random(in: -2...2, using: &random)
        sampling.repetitionPenalty = .random(in: 0.1...2, using: &random)
        for _ in 0..<Int.random(in: 0..<4, using: &random) {
            sampling.logitBias[.random(in: 0..<150_000, using: &random)] = .random(in: -100...100, using: &random)
        }
        sampling.allowedTokens = Bool.random(using: &random) ? [1, 2, 3] : nil
        sampling.maxTokens = .random(in: 1..<9999, using: &random)
        sampling.minTokens = .random(in: 0..<9, using: &random)
        sampling.stopTokens = .random(0..<4, using: &random) { .random(in: 0..<150_000, using: &$0) }
        sampling.ignoresEndOfGeneration = .random(using: &random)
        sampling.logprobCount = Bool.random(using: &random) ? .random(in: 0..<20, using: &random) : nil
        sampling.choiceCount = .random(in: 1..<9, using: &random)
        return SlotAdmission(
            slot: .random(in: 0..<64, using: &random), tokens: tokens,
            promptCount: .random(in: 0...tokens.count, using: &random),
            cachedCount: .random(in: 0...tokens.count, using: &random),
            images: .random(0..<3, using: &random) {
                ImageSpan(
                    id: .random(in: 0...UInt64.max, using: &$0), offset: .random(in: 0..<9999, using: &$0),
                    rows: .random(in: 1..<99, using: &$0), columns: .random(in: 1..<99, using: &$0))
            }, sampling: sampling, seed: .random(in: 0...UInt64.max, using: &random),
            choice: .random(in: 0..<9, using: &random), stopTokens: sampling.stopTokens)
    }
}

extension StepResult {
    static func random(using random: inout SeededGenerator) -> StepResult {
        StepResult(
            index: .random(in: 0...UInt64.max, using: &random),
            rows: .random(1..<9, using: &random) {
                Row(
                    slot: .random(in: 0..<64, using: &$0),
                    tokens: .random(0..<3, using: &$0) {
                        SampledToken(
                            token: .random(in: 0..<150_000, using: &$0),
                            logprob: Bool.random(using: &$0) ? .random(in: -9...0, using: &$0) : nil,
                            top: .random(0..<5, using: &$0) {
                                TokenLogprob(
                                    token: .random(in: 0..<99, using: &$0), logprob: .random(in: -9...0, using: &$0))
                            })
                    })
            })
    }
}
