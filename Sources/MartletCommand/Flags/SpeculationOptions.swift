import MartletCore
import MartletEngine

extension SpeculationConfiguration {
    /// `--speculative-config`, with vLLM's keys: `method` "ngram", `num_speculative_tokens`, `prompt_lookup_min` and
    /// `prompt_lookup_max` (2 and 4; one of them alone is both), `disable_by_batch_size`. Throws naming the key.
    init(_ object: JSONObject) throws(UsageError) {
        for key in object.keys where !Self.keys.contains(key) {
            throw .notBuiltYet("speculative-config", "'\(key)' is not known; \(Self.keys.joined(separator: ", ")) are.")
        }
        guard let method = object["method"] else { throw Self.fault("'method' is missing: \"ngram\".") }
        guard method.string == "ngram" else {
            throw .notBuiltYet("speculative-config", "'method' can be \"ngram\"; draft models are not read.")
        }
        guard let tokens = try Self.count("num_speculative_tokens", Self.tokenCounts, in: object) else {
            throw Self.fault("'num_speculative_tokens' is missing.")
        }
        let shortest = try Self.count("prompt_lookup_min", Self.matches, in: object)
        let longest = try Self.count("prompt_lookup_max", Self.matches, in: object)
        self.init(
            tokenCount: tokens, shortestMatch: shortest ?? longest ?? 2, longestMatch: longest ?? shortest ?? 4,
            largestBatch: try Self.count("disable_by_batch_size", 1...1024, in: object))
        guard shortestMatch <= longestMatch else {
            throw Self.fault("'prompt_lookup_min' is above 'prompt_lookup_max'.")
        }
    }

    private static let keys = [
        "method", "num_speculative_tokens", "prompt_lookup_min", "prompt_lookup_max", "disable_by_batch_size",
    ]

    private static func count(
        _ key: String, _ range: ClosedRange<Int>, in object: JSONObject
    ) throws(UsageError) -> Int? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let count = value.integer, range.contains(count) else {
            throw fault("'\(key)' must be a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return count
    }

    private static func fault(_ reason: String) -> UsageError { UsageError("--speculative-config: \(reason)") }
}
