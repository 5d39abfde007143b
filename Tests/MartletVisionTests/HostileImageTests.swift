import Testing

@testable import MartletVision

/// Files made to hurt: each ends in a typed error or a picture, at once and without much memory.
@Suite struct HostileImageTests {
    private static let victims = [
        "rgb8.png", "rgba16-interlaced.png", "palette8-alpha.png", "palette4-interlaced.png", "grey1.png",
        "rgb8-40-data-chunks.png", "rgb8-exif6.png", "ycc-420.jpg", "ycc-444-progressive.jpg", "cmyk.jpg",
        "restart.jpg", "orientation-6.jpg", "lossy.webp", "lossless-alpha.webp", "lossy-alpha.webp",
        "orientation-6.webp", "animated.webp",
    ]

    /// Decodes under a small pixel limit; any typed error will do.
    private func survive(_ bytes: [UInt8]) -> Result<DecodedImage, ImageError> {
        var limits = ImageLimits.standard
        limits.pixels = 300_000
        do throws(ImageError) {
            return .success(try ImageDecoder.decode(bytes, limits: limits))
        } catch {
            return .failure(error)
        }
    }

    @Test("a file cut at each 64th", arguments: victims) func truncated(name: String) throws {
        let bytes = try Fixture.bytes("images/" + name)
        for part in 0..<64 {
            let cut = Array(bytes[..<(bytes.count * part / 64)])
            guard case .failure(let error) = survive(cut) else {
                // Only the end of the file may be missing: what follows the last pixel.
                #expect(part >= 60, "\(name) at \(part)/64")
                continue
            }
            guard part > 0 else { continue }
            switch error {
            case .truncated, .corrupt, .unsupportedFormat: break
            default: Issue.record("\(name) at \(part)/64: \(error)")
            }
        }
    }

    @Test("2,500 mutated files") func mutated() throws {
        let files = try Self.victims.map { try Fixture.bytes("images/" + $0) }
        var random = SplitMix64(state: 42)
        var decoded = 0
        for round in 0..<2500 {
            var bytes = files[round % files.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) { mutate(&bytes, &random) }
            if case .success(let image) = survive(bytes) {
                decoded += 1
                #expect(image.rgb.count == image.width * image.height * 3)
            }
        }
        #expect(decoded > 100 && decoded < 2400)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        guard bytes.count > 40 else { return }
        // Half of the hits go to the headers, where the structure is.
        let end = Bool.random(using: &random) ? min(bytes.count, 200) : bytes.count
        let at = Int.random(in: 0..<end, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[at] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &random) ?? 0
        case 2: bytes[at] = .random(in: 0...255, using: &random)
        case 3: bytes.remove(at: at)
        case 4: bytes.insert(.random(in: 0...255, using: &random), at: at)
        default:
            let length = Int.random(in: 1...30, using: &random)
            bytes.replaceSubrange(at..<min(at + length, bytes.count), with: bytes.suffix(length))
        }
        PNGFile.mendChecksums(&bytes)
    }

    @Test("a header that promises too much is refused before a pixel is taken", arguments: [
        (65535, 65535), (10_000, 10_000), (40_000_001, 1), (Int(Int32.max), Int(Int32.max)), (1 << 31, 4), (0, 5),
    ])
    func pngBombs(width: Int, height: Int) throws {
        let bytes = try PNGFile.resized(try Fixture.bytes("images/rgb8.png"), width: width, height: height)
        #expect(throws: ImageError.self) { try ImageDecoder.decode(bytes) }
        if width == 10_000 {
            #expect(throws: ImageError.tooManyPixels(width: 10_000, height: 10_000, limit: 40_000_000)) {
                try ImageDecoder.decode(bytes)
            }
        }
    }

    @Test("30000x1 exceeds the aspect limit") func thin() throws {
        let bytes = try PNGFile.resized(try Fixture.bytes("images/rgb8.png"), width: 30_000, height: 1)
        #expect(throws: ImageError.aspectRatio(width: 30_000, height: 1, limit: 200)) { try ImageDecoder.decode(bytes) }
    }

    @Test("a small file within the limits that cannot hold its pixels", arguments: ["rgb8.png", "rgba8-interlaced.png"])
    func lyingPNG(name: String) throws {
        let bytes = try PNGFile.resized(try Fixture.bytes("images/" + name), width: 6000, height: 6000)
        #expect(throws: ImageError.truncated("PNG")) { try ImageDecoder.decode(bytes) }
    }

    @Test("JPEG headers that lie", arguments: ["ycc-444.jpg", "ycc-444-progressive.jpg", "cmyk.jpg", "grey.jpg"])
    func lyingJPEG(name: String) throws {
        var bytes = try Fixture.bytes("images/" + name)
        let frame = try #require(bytes.indices.first { bytes[$0] == 0xFF && (0xC0...0xC2).contains(bytes[$0 + 1]) })
        bytes.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0xDC, 0xFF, 0xDC])
        #expect(throws: ImageError.tooManyPixels(width: 65500, height: 65500, limit: 40_000_000)) {
            try ImageDecoder.decode(bytes)
        }
        bytes.replaceSubrange(frame + 5..<frame + 9, with: [0x17, 0x70, 0x17, 0x70])
        #expect(throws: ImageError.truncated("JPEG")) { try ImageDecoder.decode(bytes) }
        bytes.insert(contentsOf: bytes[frame..<frame + 2 + Int(bytes[frame + 3])], at: frame)
        #expect(throws: ImageError.corrupt("JPEG")) { try ImageDecoder.decode(bytes) }
    }

    @Test("1,000 progressive scans") func scans() throws {
        var bytes = try Fixture.bytes("images/ycc-444-progressive.jpg")
        let last = try #require(bytes.indices.dropLast().last { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA })
        let scan = Array(bytes[last..<bytes.count - 2])
        bytes.removeLast(2)
        for _ in 0..<1000 { bytes += scan }
        #expect(throws: ImageError.tooComplex("JPEG")) { try ImageDecoder.decode(bytes + [0xFF, 0xD9]) }
    }

    @Test("a million tiny chunks") func chunks() throws {
        let bytes = try Fixture.bytes("images/rgb8.png")
        var tiny = PNGFile.chunk("tEXt", [])
        while tiny.count < 12_000_000 { tiny += tiny }
        #expect(throws: ImageError.tooComplex("PNG")) { try ImageDecoder.decode(bytes[..<33] + tiny + bytes[33...]) }
    }

    @Test("what a stranger compresses into profiles and text is never unpacked", arguments: ["zTXt", "iCCP", "iTXt"])
    func ancillary(tag: String) throws {
        let bytes = try Fixture.bytes("images/rgb8.png")
        let junk = PNGFile.chunk(tag, Array("name\u{0}\u{0}".utf8) + [0x78, 0x9C] + Array(repeating: 0, count: 300_000))
        let image = try ImageDecoder.decode(bytes[..<33] + junk + bytes[33...])
        #expect(image.rgb == (try ImageDecoder.decode(bytes)).rgb)
    }

    @Test("EXIF that points outside itself is no orientation") func wildEXIF() throws {
        var bytes = try Fixture.bytes("images/orientation-6.jpg")
        let start = try #require(bytes.indices.first { Array(bytes[$0...].prefix(4)) == Array("Exif".utf8) })
        for offset in 6..<32 {
            for value in [UInt8(0), 0x7F, 0xFF] {
                let kept = bytes[start + offset]
                bytes[start + offset] = value
                let image = try ImageDecoder.decode(bytes)
                #expect(image.width * image.height == 61 * 43)
                bytes[start + offset] = kept
            }
        }
    }
}
