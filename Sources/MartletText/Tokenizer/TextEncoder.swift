import MartletCore

/// One encoding: added tokens first, then pieces, then merges.
struct TextEncoder {
    private let definition: TokenizerDefinition
    private var merger: BytePairMerger
    private(set) var tokens: [TokenID] = []
    private var scanned = 0

    /// Steps taken so far, each of bounded time.
    var operations: Int { scanned + merger.operations }

    init(_ definition: TokenizerDefinition) {
        self.definition = definition
        merger = BytePairMerger(
            vocabulary: definition.vocabulary, merges: definition.merges, unknown: definition.unknown,
            ignoresMerges: definition.ignoresMerges)
    }

    mutating func append(_ tokens: [TokenID]) { self.tokens.append(contentsOf: tokens) }

    /// Appends the tokens of `text`, which is valid UTF-8.
    mutating func append(_ text: UnsafeBufferPointer<UInt8>) {
        tokens.reserveCapacity(tokens.count + text.count / 3)
        split(text, by: 0)
    }

    /// Cuts `text` at the added tokens of one matcher after the other.
    private mutating func split(_ text: UnsafeBufferPointer<UInt8>, by index: Int) {
        guard index < definition.matchers.count else { return appendPlain(text) }
        let matcher = definition.matchers[index]
        guard !matcher.isEmpty else { return split(text, by: index + 1) }
        scanned += text.count
        var done = 0
        var search = 0
        while let match = matcher.firstMatch(text, from: search) {
            search = match.range.upperBound
            let token = matcher.tokens[match.token]
            if LiteralGuard.precedes(match.range, in: text) && token.content.unicodeScalars.count == 1 { continue }
            let begin = match.range.lowerBound
            let start = token.stripsLeft ? spaceStart(text, before: begin, from: done) : begin
            if start > done { split(UnsafeBufferPointer(rebasing: text[done..<start]), by: index + 1) }
            tokens.append(token.id)
            done = token.stripsRight ? spaceEnd(text, from: search) : search
            search = max(search, done)
        }
        if done < text.count { split(UnsafeBufferPointer(rebasing: text[done...]), by: index + 1) }
    }

    /// Appends text without added tokens, less its guards.
    private mutating func appendPlain(_ text: UnsafeBufferPointer<UInt8>) {
        scanned += text.count
        if LiteralGuard.isPresent(in: text) {
            LiteralGuard.removed(from: text).withUnsafeBufferPointer { appendPieces($0) }
        } else {
            appendPieces(text)
        }
    }

    private mutating func appendPieces(_ text: UnsafeBufferPointer<UInt8>) {
        UnicodeClass.table.withUnsafeBufferPointer { classes in
            var scanner = PreTokenizerScanner(text, classes: classes, preTokenizer: definition.preTokenizer)
            while let piece = scanner.next() {
                merger.append(UnsafeBufferPointer(rebasing: text[piece]), to: &tokens)
            }
            scanned += scanner.operations
        }
    }

    /// Start of the white space that ends at `end`, at or after `bound`.
    private func spaceStart(_ text: UnsafeBufferPointer<UInt8>, before end: Int, from bound: Int) -> Int {
        var start = end
        while start > bound {
            var lead = start - 1
            while lead > bound && text[lead] & 0xC0 == 0x80 { lead -= 1 }
            guard isSpace(text, at: lead) else { break }
            start = lead
        }
        return start
    }

    /// End of the white space that starts at `start`.
    private func spaceEnd(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var end = start
        while end < text.count && isSpace(text, at: end) {
            end += 1
            while end < text.count && text[end] & 0xC0 == 0x80 { end += 1 }
        }
        return end
    }

    /// No white space is above U+FFFF.
    private func isSpace(_ text: UnsafeBufferPointer<UInt8>, at offset: Int) -> Bool {
        guard case .scalar(let length) = UTF8Repair.piece(text, at: offset), length < 4 else { return false }
        var value = Int(text[offset]) & (length == 1 ? 0x7F : 0xFF >> (length + 1))
        for index in 1..<max(length, 1) { value = value << 6 | Int(text[offset + index] & 0x3F) }
        let kind = UnicodeClass.table[value]
        return kind == UnicodeClass.space || kind == UnicodeClass.newline
    }
}
