import Testing

@testable import MartletParallel

/// The two sides as values: what each answers, without a connection.
@Suite struct LinkHandshakeTests {
    private static let secret = [UInt8](0..<32)
    private static let agreement = RankAgreement([.init("model", "glm4v"), .init("--dtype", "f32")])
    private let nonces = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32))

    private func terms(
        rank: Int, worldSize: Int = 3, secret: [UInt8] = secret, agreement: RankAgreement = agreement,
        complaint: String? = nil
    ) -> LinkTerms {
        LinkTerms(secret: secret, rank: rank, worldSize: worldSize, agreement: agreement, complaint: complaint)
    }

    /// What rank 0 answers to a follower with these terms.
    private func meet(_ follower: LinkTerms) throws -> LeadHandshake.Answer {
        let lead = LeadHandshake(terms(rank: 0), nonce: nonces.0)
        var other = FollowerHandshake(follower, nonce: nonces.1)
        guard case .send(let hello) = other.answer(lead.challenge) else { return .drop("no hello") }
        let answer = lead.answer(hello)
        if case .accept(_, let welcome) = answer {
            let end = other.answer(welcome)
            #expect(end == .done)
        }
        return answer
    }

    @Test func whoAgreesIsWelcome() throws {
        for rank in 1...2 {
            guard case .accept(rank, .welcome) = try meet(terms(rank: rank)) else {
                Issue.record("rank \(rank) is not welcome")
                return
            }
        }
    }

    @Test(arguments: [
        ([("model", "glm4v"), ("--dtype", "f16")], "rank 2: --dtype is f16 there and f32 on rank 0"),
        ([("model", "llama"), ("--dtype", "f16")], "rank 2: model is llama there and glm4v on rank 0"),
        ([("model", "glm4v")], "rank 2: --dtype is nothing there and f32 on rank 0"),
        ([("model", "glm4v"), ("--dtype", "f32"), ("-q", "int8")], "rank 2: -q is int8 there and nothing on rank 0"),
        ([("--dtype", "f32"), ("model", "glm4v")], "rank 2: it is configured in another order"),
    ])
    func whatDiffersIsNamed(entries: [(String, String)], reason: String) throws {
        let other = RankAgreement(entries.map { .init($0.0, $0.1) })
        #expect(try meet(terms(rank: 2, agreement: other)) == .refuse(rank: 2, reason: reason))
    }

    @Test func complaintsAndOtherWorldsAreRefused() throws {
        #expect(
            try meet(terms(rank: 1, complaint: "no config.json")) == .refuse(rank: 1, reason: "rank 1: no config.json"))
        #expect(
            try meet(terms(rank: 1, worldSize: 4))
                == .refuse(rank: 1, reason: "rank 1: it sees 4 ranks, and rank 0 sees 3"))
    }

    @Test func strangersAreDropped() throws {
        let other = [UInt8](repeating: 0, count: 32)
        #expect(try meet(terms(rank: 1, secret: other)) == .drop("it does not know the secret"))
        #expect(try meet(terms(rank: 0)) == .drop("there is no rank 0"))
        #expect(try meet(terms(rank: 3)) == .drop("there is no rank 3"))
        let lead = LeadHandshake(terms(rank: 0), nonce: nonces.0)
        for frame in [LinkFrame.heartbeat(ticks: 1), .end, lead.challenge] {
            #expect(lead.answer(frame) == .drop("it did not say hello"))
        }
    }

    /// A hello that was heard once proves nothing to another challenge.
    @Test func anOldHelloIsOfNoUse() throws {
        var follower = FollowerHandshake(terms(rank: 1), nonce: nonces.1)
        guard case .send(let hello) = follower.answer(.challenge(nonce: nonces.0)) else {
            Issue.record("no hello")
            return
        }
        let later = LeadHandshake(terms(rank: 0), nonce: [UInt8](repeating: 5, count: 32))
        #expect(later.answer(hello) == .drop("it does not know the secret"))
    }

    @Test func aFollowerTrustsWhoKnowsTheSecret() {
        let challenge = LinkFrame.challenge(nonce: nonces.0), welcome = LinkFrame.welcome(proof: nonces.0)
        for (frames, reason) in [
            ([welcome], "what answers at rank 0's address does not know the secret"),
            ([challenge, welcome], "what answers at rank 0's address does not know the secret"),
            ([challenge, .breakUp("rank 2: no memory")], "rank 2: no memory"),
            ([challenge, challenge], "what answers at rank 0's address is no rank 0"),
            ([.heartbeat(ticks: 0)], "what answers at rank 0's address is no rank 0"),
        ] {
            var follower = FollowerHandshake(terms(rank: 1), nonce: nonces.1)
            let answers = frames.map { follower.answer($0) }
            #expect(answers.last == .fail(reason))
        }
    }
}

@Suite struct HeartbeatWatchTests {
    @Test func silenceIsALossAndTalkIsNot() {
        var watch = HeartbeatWatch(now: 10)
        var now = 10.0
        while now < 13 {
            watch.heard(now: now)
            now += 0.1
            let isLost = watch.isLost(now: now)
            #expect(!isLost)
        }
        let silent = now
        while !watch.isLost(now: now) { now += 0.1 }
        #expect(now - silent > 1.4 && now - silent < 1.8, "\(now - silent)")
    }

    /// Who was stopped himself knows nothing of the others: they get their time again.
    @Test func aWatcherThatSleptBlamesNobody() {
        var watch = HeartbeatWatch(now: 0)
        let looks = [0.1, 60, 60.1, 60.4, 60.8, 61.2, 61.5].map { watch.isLost(now: $0) }
        #expect(looks == [false, false, false, false, false, true, true])
    }

    @Test func signsOfLifeAreDueFourTimesASecond() {
        var watch = HeartbeatWatch(now: 0)
        let due = (1...40).filter { watch.isDue(now: Double($0) * 0.0625) }
        #expect(due == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40])
    }
}
