import MartletCore

/// What a rank brings to the rank link.
package struct LinkTerms: Sendable {
    /// 32 random bytes that rank 0 made and gave to the others over MPI: who knows them is of this world.
    package let secret: [UInt8]
    package let rank: Int
    package let worldSize: Int
    package let agreement: RankAgreement
    /// Why this rank can't take part, if it can't: the others are told.
    package let complaint: String?

    package init(secret: [UInt8], rank: Int, worldSize: Int, agreement: RankAgreement, complaint: String? = nil) {
        self.secret = secret
        self.rank = rank
        self.worldSize = worldSize
        self.agreement = agreement
        self.complaint = complaint
    }
}

/// Rank 0's side of one connection: decides, sends nothing itself.
struct LeadHandshake {
    private let terms: LinkTerms
    private let nonce: [UInt8]

    enum Answer: Equatable {
        /// The rank is who it says it is, and agrees. The frame is for the time when all are there.
        case accept(rank: Int, welcome: LinkFrame)
        /// It is who it says it is, and the group can't work.
        case refuse(rank: Int, reason: String)
        /// Nobody of this world.
        case drop(String)
    }

    init(_ terms: LinkTerms, nonce: [UInt8]) {
        self.terms = terms
        self.nonce = nonce
    }

    var challenge: LinkFrame { .challenge(nonce: nonce) }

    func answer(_ frame: LinkFrame) -> Answer {
        guard case .hello(let hello) = frame else { return .drop("it did not say hello") }
        let expected = FollowerHandshake.proof(of: hello, challenge: nonce, secret: terms.secret)
        guard KeyedDigest.isEqual(hello.proof, expected) else { return .drop("it does not know the secret") }
        guard (1..<terms.worldSize).contains(hello.rank) else { return .drop("there is no rank \(hello.rank)") }
        func refuse(_ reason: String) -> Answer { .refuse(rank: hello.rank, reason: "rank \(hello.rank): \(reason)") }
        if let complaint = hello.complaint { return refuse(complaint) }
        guard hello.worldSize == terms.worldSize else {
            return refuse("it sees \(hello.worldSize) ranks, and rank 0 sees \(terms.worldSize)")
        }
        if hello.agreement.checksum != terms.agreement.checksum {
            return refuse(hello.agreement.difference(to: terms.agreement) ?? "it is configured in another order")
        }
        let proof = Self.proof(of: hello, challenge: nonce, secret: terms.secret)
        return .accept(rank: hello.rank, welcome: .welcome(proof: proof))
    }

    static func proof(of hello: LinkFrame.Hello, challenge: [UInt8], secret: [UInt8]) -> [UInt8] {
        KeyedDigest.digest(of: Array("lead".utf8) + hello.nonce + challenge, key: secret)
    }
}

/// A follower's side.
struct FollowerHandshake {
    private let terms: LinkTerms
    private let nonce: [UInt8]
    private var expectedProof: [UInt8]?

    enum Answer: Equatable {
        case send(LinkFrame)
        /// All ranks are there.
        case done
        case fail(String)
    }

    init(_ terms: LinkTerms, nonce: [UInt8]) {
        self.terms = terms
        self.nonce = nonce
    }

    mutating func answer(_ frame: LinkFrame) -> Answer {
        switch frame {
        case .challenge(let challenge) where expectedProof == nil:
            var hello = LinkFrame.Hello(
                rank: terms.rank, worldSize: terms.worldSize, nonce: nonce, proof: [], agreement: terms.agreement,
                complaint: terms.complaint)
            hello.proof = Self.proof(of: hello, challenge: challenge, secret: terms.secret)
            expectedProof = LeadHandshake.proof(of: hello, challenge: challenge, secret: terms.secret)
            return .send(.hello(hello))
        case .welcome(let proof):
            guard let expectedProof, KeyedDigest.isEqual(proof, expectedProof) else {
                return .fail("what answers at rank 0's address does not know the secret")
            }
            return .done
        case .breakUp(let reason): return .fail(reason)
        default: return .fail("what answers at rank 0's address is no rank 0")
        }
    }

    static func proof(of hello: LinkFrame.Hello, challenge: [UInt8], secret: [UInt8]) -> [UInt8] {
        let numbers = [hello.rank, hello.worldSize].flatMap { number in
            (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
        let complaint = hello.complaint.map { Digest(of: $0.utf8).bytes } ?? []
        return KeyedDigest.digest(
            of: Array("follower".utf8) + challenge + hello.nonce + numbers + hello.agreement.checksum.bytes + complaint,
            key: secret)
    }
}
