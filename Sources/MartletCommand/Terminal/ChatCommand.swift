import ArgumentParser
import Foundation
import MartletCore
import MartletEngine
import MartletModels
import MartletServer
import MartletText

/// `martlet chat`: one question, or a conversation in the terminal.
struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat", abstract: "Talk with a model in the terminal.",
        discussion: """
            With a prompt (or text on standard input) it answers once; else it asks for turns until /exit.
            In a conversation: /image PATH adds a picture to the next turn, /clear forgets, /exit ends.

            EXAMPLES:
              martlet chat model.gguf "Why is the sky blue?"
              martlet chat ./AutoGLM-Phone-9B --image screen.png "点击红色的圆形按钮"
              cat letter.txt | martlet chat model.gguf --system "Summarise in one sentence."
            """)

    @OptionGroup var model: ModelArguments
    @Option(name: .long, parsing: .singleValue, help: "A picture for the first turn; may be given several times.")
    var image: [String] = []
    @Option(help: "System message.") var system: String?
    @Option(help: "0 = always the most probable token; default: the model's.") var temperature: Float?
    @Option(help: "Keep the most probable tokens up to this sum.") var topP: Float?
    @Option(help: "Most tokens of an answer.") var maxTokens: Int?
    @Option(help: "Seed of the random choices.") var seed: UInt64?
    @Flag(inversion: .prefixedNo, help: "Let the model think first, where its template knows how.")
    var thinking: Bool?
    @Argument(help: "The question.") var prompt: [String] = []

    func validate() throws {
        if let temperature, !(0...2).contains(temperature) {
            throw ValidationError("--temperature is between 0 and 2.")
        }
        if let topP, !(topP > 0 && topP <= 1) { throw ValidationError("--top-p is above 0 and at most 1.") }
        if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens is at least 1.") }
    }

    func run() async throws {
        var settings = try model.settings()
        for path in image where !FileManager.default.isReadableFile(atPath: path) {
            throw PictureError(file: path, reason: "cannot be read")
        }
        // One sequence, and another for the shared beginning of the next turn.
        settings.model.maxRunningSequences = 1
        settings.engine.maxRunningSequences = 1
        try await LocalModel.run(settings) { local in
            let isTerminal = isatty(STDIN_FILENO) == 1
            if prompt.isEmpty, isTerminal {
                try await converse(with: local)
            } else {
                let text = prompt.isEmpty ? Self.readInput() : prompt.joined(separator: " ")
                guard !text.isEmpty || !image.isEmpty else { throw UsageError("There is no prompt.") }
                var conversation = Conversation(system: system)
                try conversation.ask(text, pictures: image, of: local.assembly)
                _ = try await reply(conversation, local)
            }
        }
    }

    private static func readInput() -> String {
        let data = FileHandle.standardInput.readDataToEndOfFile()
        return String(decoding: data.prefix(16 << 20), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Turns until /exit or the end of the input. What fails is told, and the conversation goes on.
    private func converse(with local: LocalModel) async throws {
        print("\(local.assembly.files.name). /image PATH, /clear, /exit.")
        var conversation = Conversation(system: system)
        var pictures = image
        while true {
            print("> ", terminator: "")
            fflush(nil)
            guard let line = readLine() else { break }
            let text = line.trimmingCharacters(in: .whitespaces)
            if text.isEmpty { continue }
            if text == "/exit" || text == "/quit" || text == "/bye" { break }
            if text == "/clear" {
                conversation = Conversation(system: system)
                continue
            }
            if text.hasPrefix("/image ") {
                pictures.append(String(text.dropFirst(7)).trimmingCharacters(in: .whitespaces))
                continue
            }
            do {
                try conversation.ask(text, pictures: pictures, of: local.assembly)
            } catch {
                pictures = []
                print("\(error)")
                continue
            }
            pictures = []
            do { conversation.answer(try await reply(conversation, local)) } catch {
                conversation.forgetLastTurn()
                print("\(error)")
            }
        }
        print()
    }

    /// Streams the answer to standard output and gives it back.
    private func reply(_ conversation: Conversation, _ local: LocalModel) async throws -> String {
        let (prompt, start) = try conversation.prompt(of: local.assembly, enableThinking: thinking)
        let room = local.assembly.limits.maxModelLength - prompt.tokens.count
        guard room > 0 else {
            throw GenerationFailure(
                reason: "the conversation has \(prompt.tokens.count) tokens, and the context "
                    + "\(local.assembly.limits.maxModelLength). /clear, or give a larger --max-model-len.")
        }
        var sampling = SamplingParameters()
        sampling.temperature = temperature ?? local.defaults.temperature
        sampling.topP = topP ?? local.defaults.topP
        sampling.topK = local.defaults.topK
        sampling.minP = local.defaults.minP
        sampling.repetitionPenalty = local.defaults.repetitionPenalty
        sampling.seed = seed
        sampling.maxTokens = min(room, maxTokens ?? local.defaults.maxTokens ?? room)
        var options = CompletionAssembler.Options()
        options.answerTags = local.assembly.renderer?.answerTags ?? false
        options.start = start
        var assembler = CompletionAssembler(options)
        var detokenizer = Detokenizer(tokenizer: local.assembly.tokenizer, skipSpecialTokens: true)
        var text = ""
        func write(_ deltas: [CompletionDelta]) {
            let piece = deltas.map(\.content).joined()
            guard !piece.isEmpty else { return }
            text += piece
            print(piece, terminator: "")
            fflush(nil)
        }
        _ = try await local.generate(GenerationRequest(prompt: prompt, sampling: sampling)) { tokens in
            for token in tokens { write(assembler.append(detokenizer.append(token.token))) }
            return assembler.ending == nil
        }
        write(assembler.append(detokenizer.finish()))
        write(assembler.finish())
        print()
        return text
    }
}
