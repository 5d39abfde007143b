import Foundation
import Testing

@testable import MartletVision

@Suite struct DataURLTests {
    @Test("what Open-AutoGLM and the OpenAI clients send") func ordinary() throws {
        let png = try Fixture.bytes("images/rgb8.png")
        let url = try DataURL("data:image/png;base64," + Data(png).base64EncodedString())
        #expect(url.mediaType == "image/png")
        #expect(url.bytes == png)
    }

    @Test("legal variations", arguments: [
        ("DATA:IMAGE/JPEG;BASE64,AAEC", "image/jpeg"), ("data:;base64,AAEC", ""),
        ("data:image/png;charset=utf-8;base64,AAEC", "image/png"),
    ])
    func variations(text: String, type: String) throws {
        let url = try DataURL(text)
        #expect(url.bytes == [0, 1, 2])
        #expect(url.mediaType == type)
    }

    @Test("every length and byte survives", arguments: 1...67) func lengths(count: Int) throws {
        let bytes = SourcePicture.noise(UInt64(count), count: count)
        #expect(try DataURL("data:image/png;base64," + Data(bytes).base64EncodedString()).bytes == bytes)
    }

    @Test("each fault has its own error", arguments: [
        ("", ImageError.badDataURL), ("dat", .badDataURL), ("http://h/x.png", .badDataURL), ("data:", .badDataURL),
        ("data:image/png;base64", .badDataURL), ("data:" + String(repeating: "a", count: 300) + ",", .badDataURL),
        ("data:text/html;base64,AAEC", .mediaType("text/html")),
        ("data:a<script>b;base64,AAEC", .mediaType("ascriptb")),
        ("data:,AAEC", .notBase64), ("data:image/png,AAEC", .notBase64), ("data:image/png;base64x,AAEC", .notBase64),
        ("data:image/png;base64;x,AAEC", .notBase64), ("data:image/png;base64,", .badBase64),
        ("data:image/png;base64,AAE", .badBase64), ("data:image/png;base64,AAE==", .badBase64),
        ("data:image/png;base64,A===", .badBase64), ("data:image/png;base64,====", .badBase64),
        ("data:image/png;base64,AA=A", .badBase64), ("data:image/png;base64,AA==AAAA", .badBase64),
        ("data:image/png;base64,AAB=", .badBase64), ("data:image/png;base64,AAEC\n", .badBase64),
        ("data:image/png;base64,AA-_", .badBase64), ("data:image/png;base64,AA%3D", .badBase64),
        ("data:image/png;base64,AAE\u{0}", .badBase64), ("data:image/png;base64,ÄÄ", .badBase64),
    ])
    func faults(text: String, error: ImageError) {
        #expect(throws: error) { try DataURL(text) }
    }

    @Test("the limit counts decoded bytes and is applied first") func limit() throws {
        #expect(throws: ImageError.tooManyBytes(limit: 2)) { try DataURL("data:image/png;base64,AAEC", maxBytes: 2) }
        #expect(try DataURL("data:image/png;base64,AAE=", maxBytes: 2).bytes == [0, 1])
        // Not base64 at all, and too long: the length is what is said.
        #expect(throws: ImageError.tooManyBytes(limit: 2)) { try DataURL("data:image/png;base64,!!!!", maxBytes: 2) }
    }

    @Test("messages never carry the input") func messages() {
        let secret = "data:image/svg+xml\u{1B}[31m" + String(repeating: "k", count: 200) + ";base64,AAEC"
        do {
            _ = try DataURL("data:text/" + secret.dropFirst(5))
            Issue.record("accepted")
        } catch {
            #expect(error.description.utf8.count < 100)
            #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
        }
    }
}
