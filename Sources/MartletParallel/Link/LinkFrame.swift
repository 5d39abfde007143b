import MartletCore

/// What ranks of different processes tell each other beside the data: a fixed set of messages, each with its longest
/// length. A frame is a value by the rules of plans: format word (magic and version), total length, kind, fields.
package enum LinkFrame: Sendable, Equatable {
    /// Lead to whoever connects: random bytes that his proof has to contain.
    case challenge(nonce: [UInt8])
    case hello(Hello)
    /// Lead to a follower, once all ranks are there.
    case welcome(proof: [UInt8])
    /// "I live", and how often this rank's work has moved so far. Both ways.
    case heartbeat(ticks: UInt64)
    /// Lead to follower: an encoded order.
    case order([UInt8])
    /// Follower to lead: what came of an order, from the one rank that is to say so.
    case reply([UInt8])
    /// The sender can't go on, or knows of one who can't. The last frame.
    case breakUp(String)
    /// Lead to follower: there are no more orders. Follower to lead: I have done them all.
    case end

    /// A follower's first frame.
    package struct Hello: Sendable, Equatable {
        var rank: Int
        var worldSize: Int
        var nonce: [UInt8]
        /// Of the challenge and all that stands here, by the secret that came over MPI.
        var proof: [UInt8]
        var agreement: RankAgreement
        /// Why this rank can't take part, if it can't.
        var complaint: String?
    }

    /// "MRL" and the version.
    static let format: UInt32 = 0x014C_524D
    static let nonceBytes = 32
    /// Of reasons, in bytes of UTF-8; more is cut off.
    private static let textBytes = 4096
    /// Format, length and kind.
    static let headerBytes = 9
    /// Longest order: the pixels of a large picture.
    package static let maximumOrderBytes = 256 << 20
    /// Longest reply: the tokens of a step with their alternatives.
    package static let maximumReplyBytes = 17 << 20

    private var kind: UInt8 {
        switch self {
        case .challenge: 1
        case .hello: 2
        case .welcome: 3
        case .heartbeat: 4
        case .order: 5
        case .breakUp: 6
        case .end: 7
        case .reply: 8
        }
    }

    /// Bytes that a frame of a kind may take; nil for what is none.
    static func maximumByteCount(kind: UInt8) -> Int? {
        switch kind {
        case 1, 3: 64
        case 2: 64 << 10
        case 4: headerBytes + 8
        case 7: headerBytes
        case 5: headerBytes + 4 + maximumOrderBytes
        case 6: headerBytes + 4 + textBytes
        case 8: headerBytes + 4 + maximumReplyBytes
        default: nil
        }
    }

    package func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        writer.write(kind)
        switch self {
        case .challenge(let bytes), .welcome(let bytes): writer.write(bytes: bytes)
        case .order(let bytes), .reply(let bytes): writer.write(bytes: bytes)
        case .hello(let hello):
            writer.write(size: hello.rank)
            writer.write(size: hello.worldSize)
            writer.write(bytes: hello.nonce)
            writer.write(bytes: hello.proof)
            writer.write(hello.agreement.entries) {
                $0.write(text: $1.name)
                $0.write(text: $1.value)
            }
            writer.write(optional: hello.complaint) { $0.write(text: Self.cut($1)) }
        case .breakUp(let reason): writer.write(text: Self.cut(reason))
        case .heartbeat(let ticks): writer.write(ticks)
        case .end: break
        }
        return try writer.finish(limit: Self.maximumByteCount(kind: kind) ?? 0)
    }

    /// `bytes` is exactly one frame.
    package init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        let kind = bytes.count > 8 ? bytes[8] : 0
        var reader = try PlanReader(bytes, format: Self.format, limit: Self.maximumByteCount(kind: kind) ?? 64)
        switch try reader.integer("kind") as UInt8 {
        case 1: self = .challenge(nonce: try reader.digest("nonce"))
        case 2:
            self = .hello(
                Hello(
                    rank: try reader.size("rank"), worldSize: try reader.size("worldSize"),
                    nonce: try reader.digest("nonce"), proof: try reader.digest("proof"),
                    agreement: RankAgreement(
                        try reader.array("agreement", elementBytes: 8) { (reader) throws(PlanCodingError) in
                            RankAgreement.Entry(try reader.text("name"), try reader.text("value"))
                        }),
                    complaint: try reader.optional("complaint") { (reader) throws(PlanCodingError) in
                        try reader.text("complaint")
                    }))
        case 3: self = .welcome(proof: try reader.digest("proof"))
        case 4: self = .heartbeat(ticks: try reader.integer("ticks"))
        case 5: self = .order(try reader.bytes("order"))
        case 6: self = .breakUp(try reader.text("reason"))
        case 7: self = .end
        case 8: self = .reply(try reader.bytes("reply"))
        default: throw .invalid(field: "kind")
        }
        try reader.finish()
    }

    private static func cut(_ text: String) -> String { String(decoding: text.utf8.prefix(1365), as: UTF8.self) }
}

extension PlanReader {
    fileprivate mutating func digest(_ field: String) throws(PlanCodingError) -> [UInt8] {
        let found = try bytes(field)
        guard found.count == LinkFrame.nonceBytes else { throw .invalid(field: field) }
        return found
    }
}
