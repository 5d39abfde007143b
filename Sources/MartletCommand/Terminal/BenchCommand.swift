import ArgumentParser
import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletModels
import MartletTensor
import MartletText
import MartletVision

/// `martlet bench`: prefill and decode speed through the whole engine.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure prefill and decode speed.",
        discussion: """
            For each context length a prompt of random tokens is prefilled and --tokens tokens are decoded behind it, in
            --sequences sequences at once; medians of --repeats runs. Prefill is the tokens of all prompts over the time
            to the last first token; decode is the tokens after the first over the time they took. With --images each
            prompt begins with that many made-up pictures, whose tokens count as the prompt's. In a pipeline a line also
            says which share of the time all stages computed, and which share each of them did not. On a CPU it says how
            fast the weights are read by themselves after a run: what decoding one sequence cannot exceed.

            EXAMPLES:
              martlet bench model.gguf
              martlet bench model.gguf --context 128,1K,4K --sequences 16 --csv bench.csv --json bench.json
              martlet bench ./AutoGLM-Phone-9B --context 64 --images 2 --image-size 360x800
            """)

    @OptionGroup var model: ModelArguments
    @Option(help: "Context lengths, separated by commas.") var context = "128,512,1024"
    @Option(help: "Tokens decoded in a sequence.") var tokens = 32
    @Option(help: "Sequences at once.") var sequences = 1
    @Option(help: "Pictures before each prompt's text.") var images = 0
    @Option(help: "Width and height of the pictures.") var imageSize = "360x800"
    @Option(help: "Runs, of which the median counts.") var repeats = 3
    @Option(help: "Write the rows as CSV.") var csv: String?
    @Option(help: "Write the rows as JSON.") var json: String?

    func validate() throws {
        guard (2...4096).contains(tokens) else { throw ValidationError("--tokens is between 2 and 4096.") }
        guard (1...1024).contains(sequences) else { throw ValidationError("--sequences is between 1 and 1024.") }
        guard (1...101).contains(repeats) else { throw ValidationError("--repeats is between 1 and 101.") }
        guard (0...16).contains(images) else { throw ValidationError("--images is between 0 and 16.") }
        _ = try lengths()
        _ = try pictureSize()
    }

    private func pictureSize() throws -> PictureSize {
        guard let size = PictureSize(imageSize) else { throw ValidationError("--image-size takes a size as 360x800.") }
        return size
    }

    private func lengths() throws -> [Int] {
        let lengths = context.split(separator: ",").map { CountNotation.read(String($0)) ?? 0 }
        guard !lengths.isEmpty, lengths.allSatisfy({ (1...(1 << 24)).contains($0) }) else {
            throw ValidationError("--context takes lengths such as 128,1K,4096.")
        }
        return lengths
    }

    func run() async throws {
        let lengths = try lengths()
        var settings = try model.settings()
        settings.model.maxRunningSequences = sequences
        settings.model.maxBatchedTokens = max(settings.model.maxBatchedTokens, sequences)
        settings.engine.maxRunningSequences = sequences
        settings.engine.maxBatchedTokens = settings.model.maxBatchedTokens
        settings.engine.enablePrefixCaching = false
        if model.maxModelLen == nil { settings.model.maxModelLength = (lengths.max() ?? 0) + tokens }
        if images > 0, model.maxModelLen == nil { settings.model.maxModelLength? += try pictureTokenLimit() }
        let size = try pictureSize()
        try await LocalModel.run(settings) { local in
            let limits = local.assembly.limits
            print(
                "\(local.assembly.files.name), \(local.assembly.threadCount) threads,",
                "KV cache \(local.assembly.cacheType.cacheName)")
            print(local.assembly.cost.text)
            print(
                BenchRow.heading(
                    isPipeline: local.assembly.trace != nil, readsWeights: local.assembly.reading != nil))
            var rows: [BenchRow] = []
            for length in lengths {
                let whole = try prompt(length, pictures: size, seed: 0, local).tokens.count
                guard whole + tokens <= limits.maxModelLength else {
                    print("\(whole): beyond the context of \(limits.maxModelLength) tokens, left out")
                    continue
                }
                rows.append(
                    try await measure(whole, local) { try prompt(length, pictures: size, seed: $0, local) })
                print(rows.last?.text ?? "")
            }
            try write(rows)
            guard !rows.isEmpty else { throw ExitCode(1) }
        }
    }

    /// `prompt` makes prompts of `length` tokens, another one of each seed.
    private func measure(
        _ length: Int, _ local: LocalModel, prompt: (Int) throws -> Prompt
    ) async throws -> BenchRow {
        var prefills: [Double] = []
        var decodes: [Double] = []
        var reads: [Double] = []
        var times: BusyTimes?
        for run in 0..<repeats {
            let requests = try (0..<sequences).map { request(try prompt(run * 4096 + $0)) }
            let start = local.assembly.trace?.look()
            let outputs = try await withThrowingTaskGroup(of: LocalModel.Output.self) { group in
                for request in requests {
                    group.addTask { try await local.generate(request) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            if let start, let stretch = local.assembly.trace?.look().since(start) {
                times = times?.adding(stretch) ?? stretch
            }
            let firsts = outputs.compactMap(\.seconds.first)
            let lasts = outputs.compactMap(\.seconds.last)
            guard let first = firsts.max(), let last = lasts.max() else { continue }
            prefills.append(Double(length * sequences) / first)
            // Sequences that finished their prefill early have decoded meanwhile: count what came after.
            let later = outputs.reduce(0) { sum, output in sum + output.seconds.count { $0 > first } }
            if last > first { decodes.append(Double(later) / (last - first)) }
            if let read = readSpeed(local.assembly) { reads.append(read) }
        }
        return BenchRow(
            context: length, sequences: sequences, decoded: tokens, prefill: Self.median(prefills),
            decode: Self.median(decodes), read: reads.isEmpty ? nil : Self.median(reads), times: times)
    }

    /// Bytes a second at which as many threads as compute read the weights where they lie. The same memory, and soon
    /// after it was multiplied with: the speed of memory differs from place to place and from moment to moment.
    private func readSpeed(_ assembly: ModelAssembly) -> Double? {
        guard let reading = assembly.reading else { return nil }
        let pool = ThreadPool(threadCount: assembly.threadCount)
        return (0..<3).map { _ in
            let start = ContinuousClock.now
            reading.read(by: pool)
            return Double(reading.byteCount) / (ContinuousClock.now - start).seconds
        }.max()
    }

    /// More than the pictures of a prompt take, whatever the model's processor makes of their size.
    private func pictureTokenLimit() throws -> Int {
        let size = try pictureSize(), side = 28
        return images * ((size.width / side + 1) * (size.height / side + 1) + 64)
    }

    /// Pictures, then `length` tokens at random; other ones for each seed. Throws `UsageError` where the model does
    /// not see, and `ImageError`.
    func prompt(_ length: Int, pictures size: PictureSize, seed: Int, _ local: LocalModel) throws -> Prompt {
        var source = SeedSource(seed: UInt64(seed) &+ 1)
        let special = Set(local.assembly.tokenizer.addedTokens.map(\.id))
        let count = UInt64(max(1, local.assembly.limits.vocabularyCount))
        var tokens: [TokenID] = []
        while tokens.count < length {
            let token = TokenID(source.next() % count)
            if !special.contains(token) { tokens.append(token) }
        }
        guard images > 0 else { return Prompt(tokens: tokens) }
        guard let processor = local.assembly.images, let placeholder = local.assembly.files.configuration.imageToken
        else { throw UsageError("\(local.assembly.files.name) is a text model: it takes no --images.") }
        let prepared = try (0..<images).map { try processor.prepare(size.picture(seed: seed * images + $0)) }
        let marks = [TokenID](repeating: placeholder, count: images)
        return Prompt(tokens: marks + tokens, placeholder: placeholder, images: prepared)
    }

    private func request(_ prompt: Prompt) -> GenerationRequest {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = tokens
        sampling.ignoresEndOfGeneration = true
        return GenerationRequest(prompt: prompt, sampling: sampling)
    }

    private func write(_ rows: [BenchRow]) throws {
        if let csv {
            let text = BenchRow.csvHeading + "\n" + rows.map { $0.csv + "\n" }.joined()
            try Data(text.utf8).write(to: URL(fileURLWithPath: csv))
        }
        if let json {
            var writer = JSONWriter()
            writer.value(.array(rows.map(\.json)))
            try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: json))
        }
    }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

extension CostModel {
    /// What the scheduler goes by, as `martlet plan --simulate` takes it.
    var text: String {
        func milliseconds(_ seconds: Double) -> String { String(format: "%.5g", seconds * 1000) }
        return "cost of a step, a row, its look at a position, a vision unit, in ms: --cost "
            + [step, row, pair, visionUnit].map(milliseconds).joined(separator: ",")
    }
}

/// One line of the bench. Speeds in tokens a second over all sequences.
struct BenchRow: Equatable {
    /// Tokens of a prompt, its pictures' among them.
    var context: Int
    var sequences: Int
    var decoded: Int
    var prefill: Double
    var decode: Double
    /// Bytes a second at which the weights were read by themselves, right after each run; nil = not measured.
    var read: Double?
    /// Of the stages of a pipeline, from the first request of a run to the last token.
    var times: BusyTimes?

    static func heading(isPipeline: Bool, readsWeights: Bool) -> String {
        " context  sequences   prefill tok/s   decode tok/s" + (isPipeline ? "   all stages busy   bubbles" : "")
            + (readsWeights ? "   weights read, GB/s" : "")
    }
    var text: String {
        let speeds = String(format: "%8d  %9d   %13.1f   %12.1f", context, sequences, prefill, decode)
        if let read { return speeds + String(format: "   %18.1f", read / 1e9) }
        guard let times else { return speeds }
        let bubbles = times.bubbleShares.map { String(format: "%.1f%%", 100 * $0) }.joined(separator: " ")
        return speeds + String(format: "   %14.1f%%   ", 100 * times.togetherShare) + bubbles
    }

    static let csvHeading = "context,sequences,decoded,prefill_tokens_per_second,decode_tokens_per_second"
    var csv: String { String(format: "%d,%d,%d,%.3f,%.3f", context, sequences, decoded, prefill, decode) }

    var json: JSONValue {
        var object = JSONObject([
            ("context", .integer(Int64(context))), ("sequences", .integer(Int64(sequences))),
            ("decoded", .integer(Int64(decoded))), ("prefill_tokens_per_second", .number(prefill)),
            ("decode_tokens_per_second", .number(decode)),
        ])
        if let read { object["weights_read_bytes_per_second"] = .number(read) }
        if let times {
            object["all_stages_busy_share"] = .number(times.togetherShare)
            object["bubble_shares"] = .array(times.bubbleShares.map { .number($0) })
        }
        return .object(object)
    }
}
