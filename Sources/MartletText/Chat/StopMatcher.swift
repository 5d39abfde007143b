/// Ends a text at the first of several stop strings, wherever the pieces are cut. Only text that may be the beginning
/// of a stop string is held back.
///
/// The text ends at the first byte that completes a stop string; of several completed there, the longest counts.
package struct StopMatcher: Sendable {
    private let stops: [String]
    private let includesStop: Bool
    private var matcher: TextMatcher
    private var held: [UInt8] = []

    /// The stop string that ended the text.
    package private(set) var found: String?

    /// - Parameter includesStop: the text ends with the stop string instead of before it
    ///   (`include_stop_str_in_output`).
    package init(stops: [String], includesStop: Bool = false) {
        self.stops = stops
        self.includesStop = includesStop
        matcher = TextMatcher(stops)
    }

    /// The text that is certain now; nothing once a stop string was found.
    package mutating func append(_ piece: String) -> String {
        guard found == nil else { return "" }
        for byte in piece.utf8 {
            held.append(byte)
            guard let index = matcher.step(byte) else { continue }
            found = stops[index]
            if !includesStop { held.removeLast(matcher.length(of: index)) }
            return take(held.count)
        }
        return take(held.count - matcher.heldCount)
    }

    /// What was held back, when no more text comes.
    package mutating func finish() -> String { found == nil ? take(held.count) : "" }

    private mutating func take(_ count: Int) -> String {
        // A stop string begins at a scalar's first byte, so no scalar is ever cut.
        let text = String(decoding: held.prefix(count), as: UTF8.self)
        held.removeFirst(count)
        return text
    }
}
