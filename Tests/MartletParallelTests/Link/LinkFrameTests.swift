import MartletCore
import MartletTestSupport
import Testing

@testable import MartletParallel

@Suite struct LinkFrameTests {
    private static let hello = LinkFrame.Hello(
        rank: 1, worldSize: 2, nonce: [UInt8](repeating: 7, count: 32), proof: [UInt8](0..<32),
        agreement: RankAgreement([.init("version", "1.0"), .init("--dtype", "f16"), .init("größe", "")]),
        complaint: nil)
    private static let frames: [LinkFrame] = {
        var refused = hello
        refused.complaint = "no config.json in /models/tiny"
        return [
            .challenge(nonce: [UInt8](repeating: 3, count: 32)), .hello(hello), .hello(refused),
            .welcome(proof: [UInt8](repeating: 9, count: 32)), .heartbeat(ticks: 1 << 40), .reply([7, 7]),
            .order([]), .order([1, 2, 3, 4, 5]),
            .breakUp("rank 1: out of memory"), .end,
        ]
    }()

    @Test func everyFrameComesBack() throws {
        for frame in Self.frames { #expect(try LinkFrame(decoding: frame.encoded()) == frame) }
    }

    /// However the bytes are cut into pieces.
    @Test(arguments: [1, 2, 7, 64, 4096]) func framesAreFoundInAStream(pieceBytes: Int) throws {
        let stream = try Self.frames.flatMap { try $0.encoded() }
        var reader = LinkFrameReader()
        reader.isTrusted = true
        var found: [LinkFrame] = []
        for start in stride(from: 0, to: stream.count, by: pieceBytes) {
            stream[start..<min(start + pieceBytes, stream.count)].withUnsafeBytes { reader.append($0) }
            while let frame = try reader.next() { found.append(frame) }
        }
        #expect(found == Self.frames)
    }

    /// What nobody is yet known to have sent is short, whatever it says of itself.
    @Test func strangersCannotMakeUsKeepMuch() throws {
        var reader = LinkFrameReader()
        let order = try LinkFrame.order([1]).encoded()
        order.withUnsafeBytes { reader.append($0) }
        #expect(throws: PlanCodingError.invalid(field: "kind")) { try reader.next() }
        reader = LinkFrameReader()
        var hello = try LinkFrame.hello(Self.hello).encoded()
        hello[6] = 0x7F
        hello.withUnsafeBytes { reader.append($0) }
        #expect(throws: PlanCodingError.tooLong(byteCount: 0x7F_0000 + hello.count, limit: 65536)) { try reader.next() }
        reader = LinkFrameReader()
        Array("GET / HTTP/1.1\r\n".utf8).withUnsafeBytes { reader.append($0) }
        #expect(throws: PlanCodingError.self) { try reader.next() }
    }

    @Test func longTextsAreCut() throws {
        let frame = try LinkFrame.breakUp(String(repeating: "ü", count: 10_000)).encoded()
        guard case .breakUp(let text) = try LinkFrame(decoding: frame) else {
            Issue.record("no break-up")
            return
        }
        #expect(text.utf8.count <= 4096 && text.hasPrefix("üüü"))
    }

    /// Bytes that are wrong somewhere are a frame, or an error; never a trap.
    @Test func mutatedFramesAreRefused() throws {
        let whole = try Self.frames.map { try $0.encoded() }
        var generator = SeededGenerator(seed: 5)
        var refusals = 0
        for _ in 0..<100_000 {
            var bytes = whole[Int(generator.next() % UInt64(whole.count))]
            for _ in 0...Int(generator.next() % 3) { mutate(&bytes, &generator) }
            var reader = LinkFrameReader()
            reader.isTrusted = generator.next() % 2 == 0
            bytes.withUnsafeBytes { reader.append($0) }
            do {
                _ = try LinkFrame(decoding: bytes)
                while try reader.next() != nil {}
            } catch {
                refusals += 1
            }
        }
        #expect(refusals > 50_000)
    }

    private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let place = Int(generator.next() % UInt64(bytes.count))
        switch generator.next() % 5 {
        case 0: bytes[place] ^= 1 << (generator.next() % 8)
        case 1: bytes[place] = UInt8(truncatingIfNeeded: generator.next())
        case 2: bytes.removeSubrange(place...)
        case 3: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: place)
        default: bytes.replaceSubrange(place..<min(place + 4, bytes.count), with: [0xFF, 0xFF, 0xFF, 0xFF])
        }
    }
}

@Suite struct KeyedDigestTests {
    /// RFC 4231, cases 1, 2 and 6.
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0B, count: 20), "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func isTheStandards(key: [UInt8], message: String, digest: String) {
        let found = KeyedDigest.digest(of: Array(message.utf8), key: key)
        #expect(found.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == digest)
        #expect(KeyedDigest.isEqual(found, found))
        #expect(!KeyedDigest.isEqual(found, Array(found.reversed())))
        #expect(!KeyedDigest.isEqual(found, Array(found.dropLast())))
    }
}
