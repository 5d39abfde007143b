/// An http(s) URL, parsed once and strictly; what is checked here is what is dialled and sent. Stricter than RFC 3986
/// where parsers have been known to differ: no user, no backslash, no second spelling of an address, no empty port.
struct MediaURL: Sendable, Equatable {
    enum Scheme: String, Sendable { case http, https }

    enum Host: Sendable, Hashable {
        /// Lower case; letters, digits and hyphens (IDNs as punycode).
        case name(String)
        case address(IPAddress)
    }

    static let maxBytes = 4096

    let scheme: Scheme
    let host: Host
    let port: Int
    /// The host as URLs and the `Host` header write it: IPv6 in brackets.
    let hostText: String
    /// Path and query as they came, without the fragment; begins with `/`.
    let target: String

    /// Throws `badURL`.
    init(_ text: String) throws(FetchError) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maxBytes else { throw .badURL("it is too long") }
        guard bytes.allSatisfy(Self.isAllowed) else {
            throw .badURL("it has a character that must be percent-encoded")
        }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            let scheme = Scheme(rawValue: Self.lowercased(bytes[..<colon])),
            bytes[colon...].starts(with: "://".utf8)
        else { throw .badURL("it does not begin with http:// or https://") }
        let rest = bytes[(colon + 3)...]
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        let place = try Self.place(authority, standardPort: scheme == .http ? 80 : 443)
        var target = rest[authority.endIndex...].prefix { $0 != UInt8(ascii: "#") }
        guard Self.escapesAreWhole(target) else { throw .badURL("it has a % without two hexadecimal digits") }
        if target.first != UInt8(ascii: "/") { target = [UInt8(ascii: "/")] + target }
        self.scheme = scheme
        (host, hostText, port) = place
        self.target = String(decoding: target, as: UTF8.self)
    }

    /// `Host` of a request.
    var authority: String { port == (scheme == .http ? 80 : 443) ? hostText : "\(hostText):\(port)" }

    /// An allow list's entry is a host, which stands for ports 80 and 443, or `host:port`. Never a pattern.
    func isAllowed(by hosts: Set<String>) -> Bool {
        ((port == 80 || port == 443) && hosts.contains(hostText)) || hosts.contains("\(hostText):\(port)")
    }

    /// `entry` as an allow list holds it; nil if it is neither `host` nor `host:port`, or can never be public.
    static func allowListEntry(_ entry: String) -> String? {
        let bytes = Array(entry.utf8)[...]
        guard bytes.allSatisfy(isAllowed), let place = try? place(bytes, standardPort: 0) else { return nil }
        if case .address(let address) = place.host, !address.isPublic { return nil }
        return place.port == 0 ? place.text : "\(place.text):\(place.port)"
    }

    /// Where a redirect from here leads. Throws `redirect` where TLS would be given up, `badURL`.
    func redirected(to location: String) throws(FetchError) -> MediaURL {
        let prefix = "\(scheme.rawValue)://"
        let next: MediaURL
        if location.hasPrefix("//") {
            next = try MediaURL("\(scheme.rawValue):\(location)")
        } else if location.hasPrefix("/") {
            next = try MediaURL("\(prefix)\(hostText):\(port)\(location)")
        } else if Self.hasScheme(location) {
            next = try MediaURL(location)
        } else {
            let path = target.prefix { $0 != "?" }
            let folder = location.hasPrefix("?") ? path : path[...(path.lastIndex(of: "/") ?? path.startIndex)]
            next = try MediaURL("\(prefix)\(hostText):\(port)\(folder)\(location)")
        }
        guard scheme == .http || next.scheme == .https else { throw .redirect("it leads from https to http") }
        return next
    }

    // MARK: - Pieces

    private static func place(
        _ authority: ArraySlice<UInt8>, standardPort: Int
    ) throws(FetchError) -> (host: Host, text: String, port: Int) {
        guard !authority.contains(UInt8(ascii: "@")) else { throw .badURL("it names a user") }
        var hostEnd = authority.lastIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
        if authority.first == UInt8(ascii: "[") {
            guard let bracket = authority.firstIndex(of: UInt8(ascii: "]")) else { throw badHost }
            hostEnd = bracket + 1
        }
        let host = try Self.host(authority[..<hostEnd])
        guard hostEnd < authority.endIndex else { return (host.0, host.1, standardPort) }
        let digits = authority[(hostEnd + 1)...]
        guard authority[hostEnd] == UInt8(ascii: ":"), (1...5).contains(digits.count),
            digits.allSatisfy(isDigit), digits.first != UInt8(ascii: "0"),
            case let port = digits.reduce(0, { $0 * 10 + Int($1 - 0x30) }), port <= 65535
        else { throw .badURL("its port is not a number from 1 to 65535") }
        return (host.0, host.1, port)
    }

    private static func host(_ bytes: ArraySlice<UInt8>) throws(FetchError) -> (Host, String) {
        let text = lowercased(bytes)
        if text.hasPrefix("[") {
            guard let address = IPAddress(canonical: String(text.dropFirst().dropLast())), address.bytes.count == 16
            else { throw badHost }
            return (.address(address), text)
        }
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, let last = labels.last, labels.allSatisfy(isLabel) else { throw badHost }
        // What ends in a number is an address to somebody's parser, so it has to be one to ours.
        guard last.allSatisfy(isDigit) || last.starts(with: "0x".utf8) else { return (.name(text), text) }
        guard let address = IPAddress(canonical: text) else { throw badHost }
        return (.address(address), text)
    }

    private static let badHost = FetchError.badURL("its host is neither a plain DNS name nor a canonical IP address")

    private static func isLabel(_ label: Substring.UTF8View) -> Bool {
        (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
            && label.allSatisfy { isDigit($0) || (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// The characters of RFC 3986.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !"\"<>\\^`{|}".utf8.contains(byte)
    }

    private static func escapesAreWhole(_ target: ArraySlice<UInt8>) -> Bool {
        func isHexadecimal(_ byte: UInt8) -> Bool {
            isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
        }
        return target.indices.allSatisfy { index in
            guard target[index] == UInt8(ascii: "%") else { return true }
            let digits = target[(index + 1)...].prefix(2)
            return digits.count == 2 && digits.allSatisfy(isHexadecimal)
        }
    }

    /// `scheme:` before any `/`, `?` or `#`.
    private static func hasScheme(_ text: String) -> Bool {
        text.utf8.first { ":/?#".utf8.contains($0) } == UInt8(ascii: ":")
    }

    private static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }
}
