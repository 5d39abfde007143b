import Foundation
import MartletCore
import MartletEngine
import MartletModels
import MartletServer
import MartletText
import MartletVision

/// The checks of `martlet selfcheck`, one line each.
struct Checklist {
    enum Result: String {
        case passed = "ok"
        case failed = "FAILED"
        /// Not applicable to this model.
        case skipped = "-"
    }

    let local: LocalModel
    let tokenCount: Int
    /// Whether a row's bits must not depend on its company: so on CPUs (D5).
    let isExact: Bool
    private(set) var failureCount = 0

    init(local: LocalModel, tokenCount: Int, isExact: Bool = true) {
        self.local = local
        self.tokenCount = tokenCount
        self.isExact = isExact
    }

    static func line(_ result: Result, _ name: String, _ text: String) -> String {
        let mark = "[\(result.rawValue)]".padding(toLength: 9, withPad: " ", startingAt: 0)
        return mark + name.padding(toLength: 12, withPad: " ", startingAt: 0) + text
    }

    mutating func run(show: (String) -> Void) async {
        var checks: [(name: String, check: () async throws -> (Result, String))] = []
        checks.append(("tokenizer", checkTokenizer))
        checks.append(("template", checkTemplate))
        checks.append(("logits", checkLogits))
        checks.append(("answer", checkAnswer))
        checks.append(("row purity", checkPurity))
        checks.append(("picture", checkPicture))
        for (name, check) in checks {
            var result = Result.failed
            var text = ""
            do { (result, text) = try await check() } catch { text = "\(error)" }
            if result == .failed { failureCount += 1 }
            show(Self.line(result, name, text))
        }
    }

    // MARK: Text

    private static let texts = [
        "Hello, world! 1234567890", "点击红色的圆形按钮，然后返回。", "def f(x):\n    return x ** 2  # τ ≈ 6.28",
        "👩‍👩‍👧 e\u{301} \t\r\n",
    ]

    private func checkTokenizer() async throws -> (Result, String) {
        var count = 0
        for text in Self.texts {
            let ids = local.assembly.tokenizer.encode(text, addSpecialTokens: false)
            count += ids.count
            let back = local.assembly.tokenizer.decode(ids, skipSpecialTokens: false)
            guard back == text, back.utf8.elementsEqual(text.utf8) else {
                return (.failed, "'\(text)' comes back as '\(back)'")
            }
        }
        return (.passed, "\(Self.texts.count) texts, \(count) tokens, and back")
    }

    private func checkTemplate() async throws -> (Result, String) {
        guard local.assembly.renderer != nil else { return (.skipped, "the model has none") }
        let marker = "martlet-marker-4711"
        var conversation = Conversation(system: "Be brief.")
        try conversation.ask(marker, pictures: [], of: local.assembly)
        let (prompt, _) = try conversation.prompt(of: local.assembly)
        let text = local.assembly.tokenizer.decode(prompt.tokens, skipSpecialTokens: false)
        guard text.contains(marker) else { return (.failed, "the user's words are not in the prompt: '\(text)'") }
        return (.passed, "\(prompt.tokens.count) tokens for a system and a user turn")
    }

    // MARK: Model

    private func sampling() -> SamplingParameters {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = tokenCount
        sampling.logprobCount = 5
        return sampling
    }

    private func request(_ question: String) throws -> GenerationRequest {
        guard local.assembly.renderer != nil else {
            let tokens = local.assembly.tokenizer.encode(question, addSpecialTokens: true)
            return GenerationRequest(prompt: Prompt(tokens: tokens), sampling: sampling())
        }
        var conversation = Conversation()
        try conversation.ask(question, pictures: [], of: local.assembly)
        return GenerationRequest(prompt: try conversation.prompt(of: local.assembly).prompt, sampling: sampling())
    }

    private func text(_ output: LocalModel.Output) -> String {
        local.assembly.tokenizer.decode(output.tokens.map(\.token), skipSpecialTokens: false)
    }

    private static func isFinite(_ output: LocalModel.Output) -> Bool {
        output.tokens.allSatisfy { token in
            guard let logprob = token.logprob, logprob.isFinite, logprob <= 0 else { return false }
            return token.top.allSatisfy { !$0.logprob.isNaN && $0.logprob <= 0 }
        }
    }

    private func checkLogits() async throws -> (Result, String) {
        let output = try await local.generate(try request("Hello"))
        guard !output.tokens.isEmpty else { return (.failed, "no token came") }
        guard Self.isFinite(output) else { return (.failed, "a log-probability is not finite") }
        let mass = output.tokens[0].top.reduce(0) { $0 + Foundation.exp(Double($1.logprob)) }
        guard mass <= 1.0001 else { return (.failed, "five probabilities sum to \(mass)") }
        return (.passed, "finite over \(output.tokens.count) tokens")
    }

    /// What a trained model knows. Dummy weights know nothing, and are told apart by their load format.
    private func checkAnswer() async throws -> (Result, String) {
        let questions = [("What is the capital of France?", ["paris", "巴黎"]), ("What is 2 + 2?", ["4", "four", "四"])]
        var shown: [String] = []
        var known = 0
        for (question, words) in questions {
            let answer = text(try await local.generate(try request(question)))
            if words.contains(where: { answer.lowercased().contains($0) }) { known += 1 }
            shown.append("'\(answer.replacing("\n", with: " ").prefix(48))'")
        }
        let size = local.assembly.footprint.parameterCount
        if known > 0 { return (.passed, "\(known) of \(questions.count) known: " + shown.joined(separator: ", ")) }
        // Models of a few million parameters need not know capitals.
        return (
            size < 50_000_000 ? .skipped : .failed, "none of \(questions.count) known: " + shown.joined(separator: ", ")
        )
    }

    private func checkPurity() async throws -> (Result, String) {
        let request = try request("Name three colours.")
        let alone = try await local.generate(request)
        let others = try (0..<5).map { try self.request("Tell me about the number \($0 * 37).") }
        let local = local
        let among = try await withThrowingTaskGroup(of: (Int, LocalModel.Output).self) { group in
            for (index, item) in ([request] + others).enumerated() {
                group.addTask { (index, try await local.generate(item)) }
            }
            return try await group.reduce(into: LocalModel.Output?.none) { if $1.0 == 0 { $0 = $1.1 } }
        }
        let together = among?.tokens ?? []
        guard isExact ? together == alone.tokens : together.first?.token == alone.tokens.first?.token else {
            return (.failed, "a prompt alone and among \(others.count) others gave different tokens or logprobs")
        }
        guard isExact else {
            let same = zip(together, alone.tokens).count { $0.token == $1.token }
            return (.passed, "alone and among \(others.count) others: \(same) of \(alone.tokens.count) tokens the same")
        }
        return (
            .passed,
            "alone and among \(others.count) others: the same \(alone.tokens.count) tokens and logprobs, bit for bit"
        )
    }

    // MARK: Pictures

    private func checkPicture() async throws -> (Result, String) {
        guard let processor = local.assembly.images else { return (.skipped, "a text model") }
        func answer(red: Bool) async throws -> LocalModel.Output {
            let picture = try processor.prepare(Self.drawing(isRed: red))
            var conversation = Conversation()
            conversation.ask("What do you see?", picture: picture)
            let prompt = try conversation.prompt(of: local.assembly).prompt
            return try await local.generate(GenerationRequest(prompt: prompt, sampling: sampling()))
        }
        let first = try await answer(red: true)
        let second = try await answer(red: false)
        guard Self.isFinite(first), Self.isFinite(second) else { return (.failed, "a log-probability is not finite") }
        guard first.tokens.map(\.logprob) != second.tokens.map(\.logprob) else {
            return (.failed, "two different pictures gave the same logprobs: the model does not see them")
        }
        let shown = text(first).replacing("\n", with: " ").prefix(60)
        return (.passed, "two drawings, two answers; a red disc: '\(shown)'")
    }

    /// 224 x 224: a disc on white.
    static func drawing(isRed: Bool) -> DecodedImage {
        let side = 224
        var rgb = [UInt8](repeating: 255, count: side * side * 3)
        for y in 0..<side {
            for x in 0..<side where (x - 112) * (x - 112) + (y - 112) * (y - 112) < 70 * 70 {
                let start = (y * side + x) * 3
                rgb[start] = isRed ? 220 : 20
                rgb[start + 1] = 30
                rgb[start + 2] = isRed ? 30 : 220
            }
        }
        return DecodedImage(width: side, height: side, rgb: rgb)
    }
}
