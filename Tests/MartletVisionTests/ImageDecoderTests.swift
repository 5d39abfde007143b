import MartletCore
import Testing

@testable import MartletVision

@Suite struct ImageDecoderTests {
    @Test("every kind of file gives the reference loader's pixels") func everyKind() throws {
        let rows = try Fixture.rows("images.json")
        #expect(rows.count >= 75)
        for row in rows {
            let name = try #require(row[0].string)
            let image = try ImageDecoder.decode(try Fixture.bytes("images/" + name))
            #expect(image.width == row[2].integer && image.height == row[3].integer, "\(name)")
            #expect(Digest(of: image.rgb).description == row[4].string, "\(name)")
            let size = try ImageDecoder.size(of: try Fixture.bytes("images/" + name))
            #expect(size == (image.width, image.height), "\(name)")
        }
    }

    @Test("other formats are refused by name", arguments: [
        ("GIF", "GIF89a\u{1}\u{0}"), ("TIFF", "II*\u{0}\u{8}"), ("BMP", "BM\u{36}"), ("PDF", "%PDF-1.7"),
        ("SVG", "<?xml version='1.0'?><svg width='9'/>"), ("SVG", "  <svg/>"), ("PSD", "8BPS\u{0}"),
        ("AVIF", "\u{0}\u{0}\u{0}\u{20}ftypavif"), ("HEIC", "\u{0}\u{0}\u{0}\u{20}ftypheic"), ("unknown", "hello"),
        ("unknown", ""), ("unknown", "<html></html>"), ("ICO", "\u{0}\u{0}\u{1}\u{0}"),
        ("JPEG 2000", "\u{0}\u{0}\u{0}\u{c}jP  \r\n"),
    ])
    func refusedByName(name: String, start: String) {
        var bytes = Array(start.utf8)
        if name == "JPEG 2000" { bytes = [0, 0, 0, 12, 0x6A, 0x50, 0x20, 0x20, 13, 10, 0x87, 10] }
        #expect(throws: ImageError.unsupportedFormat(name)) { try ImageDecoder.decode(bytes) }
    }

    @Test func animatedWebPIsRefused() throws {
        let bytes = try Fixture.bytes("images/animated.webp")
        #expect(throws: ImageError.unsupportedFormat("animated WebP")) { try ImageDecoder.decode(bytes) }
    }

    @Test("12-bit and lossless JPEG are refused by name") func rareJPEG() throws {
        var bytes = try Fixture.bytes("images/ycc-444.jpg")
        let frame = try #require(bytes.indices.first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
        bytes[frame + 4] = 12
        #expect(throws: ImageError.unsupportedFormat("12-bit JPEG")) { try ImageDecoder.decode(bytes) }
        bytes[frame + 4] = 8
        bytes[frame + 1] = 0xC3
        #expect(throws: ImageError.unsupportedFormat("lossless or hierarchical JPEG")) {
            try ImageDecoder.decode(bytes)
        }
    }

    @Test("limits hold before a pixel is decoded") func limits() throws {
        let bytes = try Fixture.bytes("images/rgb8.png")
        var limits = ImageLimits.standard
        limits.pixels = 29 * 19 - 1
        #expect(throws: ImageError.tooManyPixels(width: 29, height: 19, limit: 550)) {
            try ImageDecoder.decode(bytes, limits: limits)
        }
        limits = .standard
        limits.compressedBytes = bytes.count - 1
        #expect(throws: ImageError.tooManyBytes(limit: bytes.count - 1)) {
            try ImageDecoder.decode(bytes, limits: limits)
        }
        limits = .standard
        limits.aspectRatio = 1
        #expect(throws: ImageError.aspectRatio(width: 29, height: 19, limit: 1)) {
            try ImageDecoder.decode(bytes, limits: limits)
        }
    }
}
