import Foundation
import MartletCore
import Testing

@testable import MartletVision

/// The source pictures of the fixtures, drawn as `picture` of Tools/reference/image_fixtures.py draws them.
enum SourcePicture {
    static func draw(_ kind: String, seed: UInt64, width: Int, height: Int) throws -> DecodedImage {
        let count = width * height * 3
        switch kind {
        case "noise": return DecodedImage(width: width, height: height, rgb: noise(seed, count: count))
        case "edges": return DecodedImage(width: width, height: height, rgb: noise(seed, count: count, edges: true))
        case "ramp": return DecodedImage(width: width, height: height, rgb: ramp(width: width, height: height))
        default: throw FixtureError(message: "no picture of kind \(kind)")
        }
    }

    /// The little-endian words of splitmix64; `edges` keeps only black and white.
    static func noise(_ seed: UInt64, count: Int, edges: Bool = false) -> [UInt8] {
        var words = [UInt64](repeating: 0, count: (count + 7) / 8)
        var random = SplitMix64(state: seed)
        words.withUnsafeMutableBufferPointer { words in
            for index in 0..<words.count {
                var word = random.next()
                if edges { word = (word >> 7 & 0x0101_0101_0101_0101) &* 255 }
                words[index] = word.littleEndian
            }
        }
        return words.withUnsafeBytes { Array($0.prefix(count)) }
    }

    /// The picture of MODEL.md 7.2.
    static func ramp(width: Int, height: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, initialized in
            var at = 0
            for y in 0..<height {
                for x in 0..<width {
                    let base = 7 * x + 13 * y + (x * y) % 11
                    for c in 0..<3 {
                        buffer[at] = UInt8(truncatingIfNeeded: base + 29 * c)
                        at += 1
                    }
                }
            }
            initialized = at
        }
    }
}

struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

struct FixtureError: Error { let message: String }

enum Fixture {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    static func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appending(path: name))) }

    static func rows(_ name: String) throws -> [[JSONValue]] {
        guard let rows = try JSONParser.parse(try bytes(name)).array else { throw FixtureError(message: name) }
        return rows.map { $0.array ?? [] }
    }
}
