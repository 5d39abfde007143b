import MartletCore

/// A token with its log-probability, spelled for a client.
struct TokenRecord: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        /// The token's text, U+FFFD for bytes that are no UTF-8 by themselves; or `token_id:N`.
        var token: String
        var bytes: [UInt8]
        var logprob: Float
    }

    var chosen: Entry
    /// Best first.
    var top: [Entry]
}

extension TokenRecord.Entry {
    /// JSON has no infinity; this is what vLLM writes for it.
    static let floor: Float = -9999

    var finiteLogprob: Float { logprob > Self.floor ? logprob : Self.floor }

    /// `"token":…,"logprob":…,"bytes":[…]`
    func write(into writer: inout JSONWriter) {
        writer.raw("\"token\":")
        writer.string(token)
        // Float's description is the shortest text that reads back, and valid JSON for finite values.
        writer.raw(",\"logprob\":\(finiteLogprob),\"bytes\":[")
        for (index, byte) in bytes.enumerated() { writer.raw(index == 0 ? "\(byte)" : ",\(byte)") }
        writer.raw("]")
    }
}

extension [TokenRecord] {
    /// The `logprobs` of a chat choice: `{"content":[…],"refusal":null}`.
    func writeChat(into writer: inout JSONWriter) {
        writer.raw("{\"content\":[")
        for (index, record) in enumerated() {
            writer.raw(index == 0 ? "{" : ",{")
            record.chosen.write(into: &writer)
            writer.raw(",\"top_logprobs\":[")
            for (rank, entry) in record.top.enumerated() {
                writer.raw(rank == 0 ? "{" : ",{")
                entry.write(into: &writer)
                writer.raw("}")
            }
            writer.raw("]}")
        }
        writer.raw("],\"refusal\":null}")
    }

    /// The `logprobs` of a completions choice. `offset` is the count of Unicode scalars before the first token.
    func writeCompletion(into writer: inout JSONWriter, offset: inout Int) {
        var offsets: [Int] = []
        for record in self {
            offsets.append(offset)
            offset += record.chosen.token.unicodeScalars.count
        }
        writer.raw("{\"text_offset\":[\(offsets.map(String.init).joined(separator: ","))],\"token_logprobs\":[")
        writer.raw(map { "\($0.chosen.finiteLogprob)" }.joined(separator: ","))
        writer.raw("],\"tokens\":[")
        for (index, record) in enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(record.chosen.token)
        }
        writer.raw("],\"top_logprobs\":[")
        for (index, record) in enumerated() {
            writer.raw(index == 0 ? "{" : ",{")
            // Two tokens may look alike (pieces of a character); a JSON key stands once, the better one stays.
            var written: Set<String> = []
            for entry in record.top where written.insert(entry.token).inserted {
                if written.count > 1 { writer.raw(",") }
                writer.string(entry.token)
                writer.raw(":\(entry.finiteLogprob)")
            }
            writer.raw("}")
        }
        writer.raw("]}")
    }
}
