import Foundation
import MartletCore
import MartletModels
import MartletServer

/// Sampling defaults: the model's `generation_config.json`, and what the command line puts over them (MODEL.md 5.6).
enum GenerationFile {
    private static let known: Set<String> = [
        "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens",
    ]

    /// Throws for a key that would be silently lost.
    static func check(_ object: JSONObject) throws(UsageError) {
        for (key, value) in object.entries {
            guard known.contains(key) else {
                throw .notBuiltYet(
                    "override-generation-config",
                    "'\(key)' is not known; \(known.sorted().joined(separator: ", ")) are.")
            }
            guard value.number != nil else {
                throw UsageError("--override-generation-config: '\(key)' must be a number.")
            }
        }
    }

    /// `choice`: `auto`, `vllm` (nothing of the model's) or a directory with generation_config.json.
    static func defaults(
        choice: String, own: JSONValue?, overrides: JSONObject
    ) throws(ModelError) -> (defaults: GenerationDefaults, overridden: JSONObject) {
        var object = JSONObject()
        switch choice {
        case "auto": object = own?.object ?? JSONObject()
        case "vllm": break
        default:
            let file = choice + "/generation_config.json"
            guard let data = FileManager.default.contents(atPath: file), data.count <= 1 << 20 else {
                throw ModelError(file: file, reason: "cannot be read (--generation-config)")
            }
            guard let read = (try? JSONParser.parse(Array(data)))?.object else {
                throw ModelError(file: file, reason: "is not a JSON object")
            }
            object = read
        }
        for (key, value) in overrides.entries { object[key] = value }
        var defaults = GenerationDefaults()
        var overridden = JSONObject()
        for (key, value) in object.entries {
            guard let number = value.number, number.isFinite else { continue }
            guard apply(key, number, to: &defaults) else { continue }
            overridden[key] = value
        }
        return (defaults, overridden)
    }

    /// false if the key is none of ours, or its value is out of range: then the standard stays.
    private static func apply(_ key: String, _ number: Double, to defaults: inout GenerationDefaults) -> Bool {
        switch key {
        case "temperature" where (0...2).contains(number): defaults.temperature = Float(number)
        case "top_k" where number >= 0 && number < 1e9: defaults.topK = Int(number)
        case "top_p" where number > 0 && number <= 1: defaults.topP = Float(number)
        case "min_p" where (0...1).contains(number): defaults.minP = Float(number)
        case "repetition_penalty" where number > 0 && number <= 2: defaults.repetitionPenalty = Float(number)
        case "max_new_tokens" where number >= 1 && number < 1e9: defaults.maxTokens = Int(number)
        default: return false
        }
        return true
    }
}
