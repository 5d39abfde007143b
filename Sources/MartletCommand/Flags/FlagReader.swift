import MartletCore

/// Turns a command line into flags and values (`_` and `-` alike, `--name=value`, `--no-name`, `--name.key value`,
/// `-tp 2`, a positional model), and asks every flag to take effect.
struct FlagReader {
    /// A flag as it was given.
    struct Given: Equatable {
        let name: String
        let value: FlagValue
    }

    private(set) var given: [Given] = []
    /// `--vllm-compat warn`: unknown flags are told and skipped.
    private(set) var warnings: [String] = []
    private var positional: [String] = []
    private var isLenient = false

    /// Reads `arguments`, and the file that `--config` names; what stands on the command line wins over the file.
    init(_ arguments: [String]) throws(UsageError) {
        isLenient = Self.asksForLeniency(arguments)
        try read(arguments)
        if let model = positional.first {
            guard positional.count == 1 else {
                throw UsageError(
                    "Unexpected argument '\(positional[1])'. Options begin with --; see `martlet serve --help`.")
            }
            guard !given.contains(where: { $0.name == "model" }) else {
                throw UsageError("The model is named twice: '\(model)' and --model.")
            }
            given.insert(Given(name: "model", value: .text(model)), at: 0)
        }
        guard let file = given.last(where: { $0.name == "config" })?.value.text else { return }
        let own = given
        given = []
        try read(ConfigurationFile.arguments(of: file))
        guard !given.contains(where: { $0.name == "config" }) else {
            throw UsageError("\(file): a configuration file cannot name another.")
        }
        let names = Set(own.map(\.name))
        given = given.filter { !names.contains($0.name) } + own
    }

    /// The settings that result; the last of equal flags wins.
    func settings(environment: [String: String]) throws(UsageError) -> ServeSettings {
        var settings = ServeSettings()
        try settings.adopt(environment)
        settings.remarks += warnings
        for item in given {
            guard let flag = FlagCatalogue.flag(named: item.name) else { continue }
            try flag.apply(item.value, to: &settings)
        }
        settings.given = given
        try settings.check()
        return settings
    }

    // MARK: Words

    private mutating func read(_ arguments: [String]) throws(UsageError) {
        var words = arguments[...]
        while let word = words.popFirst() {
            guard Self.isFlag(word) else {
                positional.append(word)
                continue
            }
            try readFlag(word, &words)
        }
    }

    private mutating func readFlag(_ word: String, _ words: inout ArraySlice<String>) throws(UsageError) {
        let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let spelled = String(halves[0].drop { $0 == "-" })
        var attached = halves.count == 2 ? [String(halves[1])] : nil
        var name = FlagCatalogue.canonical(spelled)
        var key: String?
        if let dot = spelled.firstIndex(of: ".") {
            // --limit-mm-per-prompt.image 10
            name = FlagCatalogue.canonical(String(spelled[..<dot]))
            key = String(spelled[spelled.index(after: dot)...])
        }
        if let flag = FlagCatalogue.flag(named: name) {
            if attached == nil { attached = try Self.take(flag, from: &words) }
            try add(flag, attached ?? [], key: key, spelled: spelled)
        } else if name.hasPrefix("no-"), let flag = FlagCatalogue.flag(named: String(name.dropFirst(3))),
            flag.kind == .toggle
        {
            guard attached == nil else { throw UsageError("--\(name) takes no value.") }
            given.append(Given(name: flag.name, value: .toggle(false)))
        } else {
            try skipUnknown(word, spelled, &words)
        }
    }

    private mutating func add(_ flag: ServeFlag, _ values: [String], key: String?, spelled: String) throws(UsageError) {
        guard let key else {
            if flag.kind == .toggle, let value = values.first, !["true", "false"].contains(value.lowercased()) {
                throw UsageError("--\(flag.name) is a switch: use --\(flag.name) or --no-\(flag.name).")
            }
            let plain = flag.kind == .toggle ? values.map { $0.lowercased() } : values
            given.append(Given(name: flag.name, value: try flag.kind.read(plain, flag: flag.name)))
            return
        }
        guard flag.kind == .object, let value = values.first else {
            throw UsageError("--\(spelled): --\(flag.name) has no parts.")
        }
        var object = given.last { $0.name == flag.name }?.value.object ?? JSONObject()
        object[key] = (try? JSONParser.parse(value)) ?? .string(value)
        given.removeAll { $0.name == flag.name }
        given.append(Given(name: flag.name, value: .object(object)))
    }

    /// The words that belong to `flag`.
    private static func take(_ flag: ServeFlag, from words: inout ArraySlice<String>) throws(UsageError) -> [String] {
        var taken: [String] = []
        switch flag.kind {
        case .toggle: break
        case .words, .strings:
            while let word = words.first, !isFlag(word) {
                taken.append(word)
                words.removeFirst()
                if flag.kind == .strings, word.hasPrefix("[") { break }
            }
        default:
            if let word = words.first, !isFlag(word) { taken.append(words.removeFirst()) }
        }
        guard flag.kind == .toggle || !taken.isEmpty else {
            throw UsageError("--\(flag.name) needs a value:\(flag.kind.placeholder).")
        }
        return taken
    }

    /// `-1` is a value.
    private static func isFlag(_ word: String) -> Bool {
        guard word.hasPrefix("-"), word.count > 1 else { return false }
        return Double(word) == nil
    }

    // MARK: Unknown flags

    private mutating func skipUnknown(
        _ word: String, _ spelled: String, _ words: inout ArraySlice<String>
    ) throws(UsageError) {
        let dashes = word.hasPrefix("--") ? "--" : "-"
        let hint = FlagCatalogue.suggestion(for: spelled).map { " Did you mean --\($0)?" } ?? ""
        guard isLenient else {
            throw UsageError("unrecognized argument: \(dashes)\(spelled).\(hint) See `martlet serve --help`.")
        }
        while let next = words.first, !Self.isFlag(next) { words.removeFirst() }
        warnings.append("\(dashes)\(spelled) is unknown and was skipped (--vllm-compat warn).\(hint)")
    }

    private static func asksForLeniency(_ arguments: [String]) -> Bool {
        let words = arguments.map(FlagCatalogue.canonical)
        return words.contains("--vllm-compat=warn")
            || zip(words, words.dropFirst()).contains { $0 == "--vllm-compat" && $1 == "warn" }
    }
}
