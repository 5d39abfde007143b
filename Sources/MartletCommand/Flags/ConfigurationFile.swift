import Foundation
import MartletCore

/// `--config FILE.yaml`: flags by name, one a line, in the small part of YAML that flags need: `key: value`, lists
/// (`- item` lines or `[a, b]`), JSON objects, one level of nested keys, comments. Anything else is refused by line.
enum ConfigurationFile {
    static let maxBytes = 1 << 20

    /// The file as a command line.
    static func arguments(of path: String) throws(UsageError) -> [String] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw UsageError("--config: \(path) cannot be read.")
        }
        guard data.count <= maxBytes, let text = String(data: data, encoding: .utf8) else {
            throw UsageError("--config: \(path) is not a small UTF-8 text file.")
        }
        return try arguments(text: text, file: path)
    }

    static func arguments(text: String, file: String) throws(UsageError) -> [String] {
        var words: [String] = []
        /// The key whose lines may follow, indented.
        var open: String?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func failure(_ reason: String) -> UsageError { UsageError("\(file), line \(index + 1): \(reason)") }
            let content = withoutComment(line)
            let trimmed = content.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed == "---" { continue }
            let isIndented = content.first == " " || trimmed.hasPrefix("- ")
            guard content.first != "\t" else { throw failure("indented with a tab.") }
            if isIndented {
                guard let key = open else { throw failure("an indented line without a key above it.") }
                if trimmed.hasPrefix("- ") {
                    words.append(unquoted(trimmed.dropFirst(2)))
                } else {
                    let (inner, value) = try pair(trimmed, failure)
                    if words.last == "--" + key { words.removeLast() }
                    words += ["--\(key).\(inner)", unquoted(value)]
                }
                continue
            }
            let (key, value) = try pair(trimmed, failure)
            open = value.isEmpty ? key : nil
            words += try flag(key, value, failure)
        }
        return words
    }

    private static func pair(
        _ line: String, _ failure: (String) -> UsageError
    ) throws(UsageError) -> (key: String, value: Substring) {
        guard let colon = line.firstIndex(of: ":") else { throw failure("'\(line)' is not KEY: VALUE.") }
        let after = line.index(after: colon)
        guard after == line.endIndex || line[after] == " " else { throw failure("a space is missing after ':'.") }
        let key = unquoted(line[..<colon])
        guard !key.isEmpty, !key.hasPrefix("-") else { throw failure("'\(key)' is no flag's name.") }
        return (key, line[after...].drop { $0 == " " })
    }

    private static func flag(
        _ key: String, _ value: Substring, _ failure: (String) -> UsageError
    ) throws(UsageError) -> [String] {
        if "&*!|>%@`".contains(value.first ?? "-") { throw failure("this form of YAML is not read here.") }
        let isToggle = FlagCatalogue.flag(named: key)?.kind == .toggle
        if isToggle {
            switch value.lowercased() {
            case "true", "yes", "on": return ["--\(key)"]
            case "false", "no", "off": return ["--no-\(key)"]
            default: throw failure("\(key) is true or false.")
            }
        }
        if value.isEmpty { return ["--\(key)"] }
        if value.hasPrefix("[") {
            guard value.hasSuffix("]") else { throw failure("a list must end on its line.") }
            let items = value.dropFirst().dropLast().split(separator: ",").map { unquoted($0) }
            return ["--\(key)"] + items
        }
        return ["--\(key)=\(unquoted(value))"]
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        var quote: Character?
        var before: Character = " "
        for index in line.indices {
            let character = line[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "'" || character == "\"" {
                quote = character
            } else if character == "#", before == " " {
                return line[..<index]
            }
            before = character
        }
        return line.hasSuffix("\r") ? line.dropLast() : line
    }

    private static func unquoted(_ text: some StringProtocol) -> String {
        let trimmed = text.trimmingCharacters(in: .whitespaces)
        for quote in ["'", "\""] where trimmed.count >= 2 && trimmed.hasPrefix(quote) && trimmed.hasSuffix(quote) {
            return String(trimmed.dropFirst().dropLast())
        }
        return trimmed
    }
}
