import ArgumentParser

/// `martlet flags`: the flag table as Markdown, which is `docs/flags.md`.
struct FlagsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flags", abstract: "Print every flag of `martlet serve` as Markdown.", shouldDisplay: false)

    func run() { print(FlagTable.markdown, terminator: "") }
}

/// The pages made of the flag table.
enum FlagTable {
    static var markdown: String {
        var text = """
            # Flags of `martlet serve`

            Made by `make docs` from the table the server itself reads (`FlagCatalogue`); do not edit. Names may be
            written with `-` or `_`; switches take `--no-` in front. Numbers may end in k, m, g, t (powers of 1000) or
            K, M, G, T (powers of 1024). `--config FILE.yaml` holds the same names. Unknown flags end the start with
            exit code 2; `--vllm-compat warn` skips them with a warning.

            **yes**: does what it says. **no effect**: taken, logged, changes nothing, for the reason given.
            **refused**: exit code 2 and `not built yet`, with the reason given.

            """
        for section in FlagCatalogue.sections {
            text += "\n## \(section.title)\n\n| Flag | Meaning | Default | Status |\n|---|---|---|---|\n"
            for flag in section.flags { text += row(flag) }
        }
        return text
    }

    private static func row(_ flag: ServeFlag) -> String {
        let names = flag.names.map { name in
            name == flag.name ? "`--\(name)\(escaped(flag.kind.placeholder))`" : "`-\(name)`"
        }
        let cells = [names.joined(separator: ", "), flag.meaning, flag.standard, status(flag)]
        return "| " + cells.map(Self.escaped).joined(separator: " | ") + " |\n"
    }

    private static func status(_ flag: ServeFlag) -> String {
        switch flag.status {
        case .honoured: return "**yes**"
        case .inert(let reason): return "no effect: " + reason
        case .refused(let reason, let harmless):
            let taken = harmless.isEmpty || flag.kind == .toggle ? "" : " (taken: \(harmless.joined(separator: ", ")))"
            return "refused: " + reason + taken
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\|", with: "|").replacing("|", with: "\\|")
    }
}
