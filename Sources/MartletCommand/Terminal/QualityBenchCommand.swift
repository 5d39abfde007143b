import ArgumentParser
import Foundation
import MartletCPU
import MartletCore
import MartletModels
import MartletText

/// `martlet bench-quality`: what a precision of activations costs on a text.
struct QualityBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-quality",
        abstract: "Measure what the precision of activations, or a GPU's arithmetic, costs in quality.",
        discussion: """
            Reads TEXT in windows of --context tokens with the activations of --activations and with those of --against,
            on the same weights, and compares the next-token distributions of the windows' later halves: perplexity,
            mean Kullback-Leibler divergence in nats, and how often the most probable token is the same. With --device
            cuda the first side is a GPU, with operands of --dtype.

            EXAMPLES:
              martlet bench-quality model.gguf text.txt
              martlet bench-quality model.gguf text.txt --activations int8 --against f32 --json quality.json
              martlet bench-quality model.gguf text.txt --device cuda --dtype half
            """)

    @OptionGroup var model: ModelArguments
    @Argument(help: "A text file in UTF-8.") var text: String
    @Option(help: "Tokens of a window.") var context = 256
    @Option(help: "Activations to compare with.") var against = "f32"
    @Option(help: "Write the figures as JSON.") var json: String?

    func validate() throws {
        guard (4...8192).contains(context) else { throw ValidationError("--context is between 4 and 8192.") }
        guard ActivationPrecision(rawValue: against) != nil else {
            let names = ActivationPrecision.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--against is one of \(names).")
        }
    }

    func run() throws {
        let options = try model.settings().model
        let environment = ProcessInfo.processInfo.environment
        let files = try ModelFiles.open(options.model, loadFormat: options.loadFormat, environment: environment)
        let tokenizer = try ModelText(files, options: options, environment: environment).tokenizer
        let tokens = tokenizer.encode(
            utf8: try Data(contentsOf: URL(fileURLWithPath: text)), addSpecialTokens: true)
        guard tokens.count >= context else {
            throw ValidationError("\(text) has \(tokens.count) tokens, and a window \(context).")
        }
        let bench = QualityBench(files: files, context: context, threads: options.threads)
        let base = QualityBench.Side.cpu(ActivationPrecision(rawValue: against) ?? .f32)
        let side = try side(files, options, environment)
        let found = try bench.compare(side, with: base, on: tokens)
        print(
            String(
                format: "%@, activations %@ beside %@, %d tokens: perplexity %.4f beside %.4f, divergence %.6f nats, "
                    + "same best token %.2f%%", files.name, side.name, base.name, found.tokens,
                found.perplexity, found.basePerplexity, found.divergence, 100 * found.agreement))
        guard let json else { return }
        var writer = JSONWriter()
        writer.value(found.json)
        try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: json))
    }

    private func side(
        _ files: ModelFiles, _ options: ModelOptions, _ environment: [String: String]
    ) throws -> QualityBench.Side {
        // Here a GPU is used where it is asked for, not where there is one.
        guard model.device == ComputeDevice.cuda.rawValue else { return .cpu(options.activations) }
        return .gpu(try CUDAHardware(options, files.configuration, environment: environment))
    }
}

extension QualityBench.Finding {
    var json: JSONValue {
        .object(
            JSONObject([
                ("tokens", .integer(Int64(tokens))), ("perplexity", .number(perplexity)),
                ("base_perplexity", .number(basePerplexity)), ("divergence", .number(divergence)),
                ("agreement", .number(agreement)),
            ]))
    }
}
