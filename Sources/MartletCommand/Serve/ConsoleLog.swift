import Foundation
import Logging

/// Log lines on standard error, each written whole:
/// `(APIServer pid=N) INFO 11-23 09:30:00 [ServeCommand.swift:42] message`, or uvicorn's `INFO:     message`.
struct ConsoleLog: LogHandler {
    enum Style { case full, access }

    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    let style: Style
    let prefix: String
    /// Who speaks: `APIServer`, or a rank of it.
    let speaker: String
    let isColored: Bool

    init(
        style: Style, level: Logger.Level, prefix: String = "", speaker: String = "APIServer",
        environment: [String: String]
    ) {
        self.style = style
        self.prefix = prefix
        self.speaker = speaker
        logLevel = level
        isColored = isatty(STDERR_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty
            && environment["TERM"] != "dumb"
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let file = event.file.split(separator: "/").last ?? ""
        for line in "\(event.message)".split(separator: "\n", omittingEmptySubsequences: false) {
            Self.write(
                text(String(line), level: event.level, file: String(file), line: event.line, now: time(nil)) + "\n")
        }
    }

    func text(_ message: String, level: Logger.Level, file: String, line: UInt, now: time_t) -> String {
        let name = Self.name(level)
        if style == .access {
            return "\(painted(name, level)):" + String(repeating: " ", count: max(1, 9 - name.count)) + message
        }
        var now = now
        var fields = tm()
        localtime_r(&now, &fields)
        let stamp = String(
            format: "%02d-%02d %02d:%02d:%02d", fields.tm_mon + 1, fields.tm_mday, fields.tm_hour, fields.tm_min,
            fields.tm_sec)
        let process = "(\(speaker) pid=\(getpid()))"
        let source = isColored ? "\u{1B}[36m\(process)\u{1B}[0m" : process
        return "\(prefix)\(source) \(painted(name, level)) \(stamp) [\(file):\(line)] \(message)"
    }

    private func painted(_ name: String, _ level: Logger.Level) -> String {
        guard isColored else { return name }
        let color = level >= .error ? 31 : level >= .warning ? 33 : 32
        return "\u{1B}[\(color)m\(name)\u{1B}[0m"
    }

    private static func name(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "DEBUG"
        case .info, .notice: "INFO"
        case .warning: "WARNING"
        case .error: "ERROR"
        case .critical: "CRITICAL"
        }
    }

    /// The whole text at once, so that lines of several threads do not mix.
    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
