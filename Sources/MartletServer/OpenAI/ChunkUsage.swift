import MartletCore

/// How usage shows in chunks before the last.
enum ChunkUsage: Sendable {
    /// No `usage` key.
    case absent
    /// `"usage":null`, as OpenAI sends it when a usage chunk will come.
    case null
    case continuous

    init(_ options: GenerationOptions) {
        self = options.includesContinuousUsage ? .continuous : options.includesUsage ? .null : .absent
    }

    func write(_ usage: Usage, into writer: inout JSONWriter) {
        switch self {
        case .absent: break
        case .null: writer.raw(",\"usage\":null")
        case .continuous:
            writer.raw(",\"usage\":")
            usage.write(into: &writer)
        }
    }
}
