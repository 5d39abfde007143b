/// One row of the flag table: an option of `martlet serve`, whatever becomes of it (D17).
struct ServeFlag: Sendable {
    typealias Effect = @Sendable (inout ServeSettings, FlagValue) throws(UsageError) -> Void

    /// What giving the flag does.
    enum Status: Sendable {
        /// It changes how Martlet serves.
        case honoured(Effect)
        /// Taken and logged, and nothing changes; the sentence says why that is right.
        case inert(String)
        /// Refused: exit 2, `not built yet`. `harmless` values ask for what is the case anyway and are taken.
        case refused(String, harmless: [String])
    }

    /// Canonical first, without dashes; then aliases, vLLM's short forms among them.
    let names: [String]
    let kind: FlagKind
    let meaning: String
    let standard: String
    let status: Status

    var name: String { names[0] }

    /// What `given` changes. Throws what the user is to be told.
    func apply(_ given: FlagValue, to settings: inout ServeSettings) throws(UsageError) {
        switch status {
        case .honoured(let effect): try effect(&settings, given)
        case .inert(let reason): settings.remarks.append("--\(name) has no effect here: \(reason)")
        case .refused(let reason, let harmless):
            let plain = Self.plain(given)
            guard !harmless.contains(plain) else { return }
            throw .notBuiltYet(kind == .toggle || kind == .object ? name : "\(name) \(plain.prefix(64))", reason)
        }
    }

    private static func plain(_ value: FlagValue) -> String {
        switch value {
        case .toggle(let isOn): isOn ? "true" : "false"
        case .text(let text): text.lowercased()
        case .words(let words): words.joined(separator: " ").lowercased()
        case .count(let count): "\(count)"
        case .number(let number): number == number.rounded() && abs(number) < 1e15 ? "\(Int(number))" : "\(number)"
        case .object: "{}"
        }
    }
}

extension ServeFlag {
    static func honours(
        _ names: String..., kind: FlagKind = .text, means meaning: String, standard: String = "",
        effect: @escaping Effect
    ) -> ServeFlag {
        ServeFlag(names: names, kind: kind, meaning: meaning, standard: standard, status: .honoured(effect))
    }

    static func ignores(
        _ names: String..., kind: FlagKind = .text, means meaning: String, standard: String = "", because reason: String
    ) -> ServeFlag {
        ServeFlag(names: names, kind: kind, meaning: meaning, standard: standard, status: .inert(reason))
    }

    static func refuses(
        _ names: String..., kind: FlagKind = .text, means meaning: String, standard: String = "",
        because reason: String,
        harmless: [String] = []
    ) -> ServeFlag {
        ServeFlag(
            names: names, kind: kind, meaning: meaning, standard: standard,
            status: .refused(reason, harmless: kind == .toggle ? ["false"] : harmless))
    }
}
