import Foundation
import NIOCore

/// An IPv4 or IPv6 address as bytes in network order: 4 or 16 of them.
struct IPAddress: Sendable, Hashable {
    let bytes: [UInt8]

    init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// The one canonical spelling of an address and no other: `127.1`, `0x7f.0.0.1` and `::0:1` are nil.
    init?(canonical text: String) {
        if let bytes = Self.dotted(text) {
            self.bytes = bytes
            return
        }
        var address = in6_addr()
        guard text.utf8.contains(UInt8(ascii: ":")), text.utf8.count < 46, inet_pton(AF_INET6, text, &address) == 1
        else { return nil }
        bytes = withUnsafeBytes(of: &address) { Array($0) }
        guard Self.spelled(&address) == text else { return nil }
    }

    /// Four decimal numbers without leading zeros.
    private static func dotted(_ text: String) -> [UInt8]? {
        let pieces = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard pieces.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for piece in pieces {
            guard (1...3).contains(piece.count), piece.allSatisfy({ (0x30...0x39).contains($0) }),
                piece.count == 1 || piece.first != UInt8(ascii: "0")
            else { return nil }
            let value = piece.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            guard value < 256 else { return nil }
            bytes.append(UInt8(value))
        }
        return bytes
    }

    private static func spelled(_ address: inout in6_addr) -> String? {
        var text = [UInt8](repeating: 0, count: 46)
        return text.withUnsafeMutableBytes { buffer -> String? in
            let characters = buffer.assumingMemoryBound(to: CChar.self)
            guard let start = characters.baseAddress,
                inet_ntop(AF_INET6, &address, start, socklen_t(buffer.count)) != nil
            else { return nil }
            return String(cString: start)
        }
    }

    func socketAddress(port: Int) throws -> SocketAddress {
        try SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: port)
    }

    // MARK: - Public or not

    /// Whether this is an address of the public internet: none of IANA's special-purpose ranges, no multicast, no
    /// address that carries another one inside (mapped, NAT64, 6to4, Teredo), no cloud's own.
    var isPublic: Bool {
        if bytes.count == 4 { return !Self.closedV4.contains { $0.contains(bytes) } }
        return Self.globalV6.contains(bytes) && !Self.closedV6.contains { $0.contains(bytes) }
    }

    private struct Range: Sendable {
        let prefix: [UInt8]
        let bits: Int

        init(_ bits: Int, _ prefix: UInt8...) {
            self.prefix = prefix
            self.bits = bits
        }

        func contains(_ address: [UInt8]) -> Bool {
            for (index, byte) in prefix.enumerated() {
                let left = min(8, bits - 8 * index)
                guard left > 0 else { return true }
                guard (byte ^ address[index]) >> UInt8(8 - left) == 0 else { return false }
            }
            return true
        }
    }

    private static let closedV4 = [
        Range(8, 0),  // this network
        Range(8, 10),  // private
        Range(10, 100, 64),  // carrier-grade NAT
        Range(8, 127),  // loopback
        Range(16, 169, 254),  // link-local, metadata services
        Range(12, 172, 16),  // private
        Range(24, 192, 0, 0),  // protocol assignments
        Range(24, 192, 0, 2),  // documentation
        Range(24, 192, 88, 99),  // 6to4 relays
        Range(16, 192, 168),  // private
        Range(15, 198, 18),  // benchmarks
        Range(24, 198, 51, 100),  // documentation
        Range(24, 203, 0, 113),  // documentation
        Range(32, 168, 63, 129, 16),  // Azure's host
        Range(4, 224),  // multicast
        Range(4, 240),  // reserved, broadcast
    ]

    /// What is outside has never been given to anyone.
    private static let globalV6 = Range(3, 0x20)

    private static let closedV6 = [
        Range(23, 0x20, 0x01, 0x00),  // protocol assignments: Teredo, ORCHID, benchmarks
        Range(32, 0x20, 0x01, 0x0D, 0xB8),  // documentation
        Range(16, 0x20, 0x02),  // 6to4
        Range(20, 0x3F, 0xFF, 0x00),  // documentation
    ]
}
