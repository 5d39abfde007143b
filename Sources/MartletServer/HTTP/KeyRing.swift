import MartletCore

/// The keys that open the server. Digests are compared, byte by byte to the end: time says nothing about how much of
/// a guess was right.
struct KeyRing: Sendable {
    private let digests: [[UInt8]]

    init(_ keys: [String]) { digests = keys.map { Digest(of: Array($0.utf8)).bytes } }

    /// `authorization` is the header's value: `Bearer KEY`. Without configured keys everyone is admitted.
    func admits(_ authorization: String?) -> Bool {
        guard !digests.isEmpty else { return true }
        guard let authorization else { return false }
        let scheme = authorization.prefix(7)
        guard scheme.lowercased() == "bearer " else { return false }
        let given = Digest(of: Array(authorization.utf8.dropFirst(7))).bytes
        var isKnown = false
        for digest in digests {
            var difference: UInt8 = 0
            for (left, right) in zip(digest, given) { difference |= left ^ right }
            isKnown = isKnown || difference == 0
        }
        return isKnown
    }
}
