import Foundation
import HTTPTypes
import MartletCore
import MartletEngine
import MartletText
import Testing

@testable import MartletServer

/// Images on their way into a prompt.
@Suite struct ImageRequestTests {
    private func image(_ url: String) -> String { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"\(url)\"}}" }
    private func text(_ text: String) -> String { "{\"type\":\"text\",\"text\":\"\(text)\"}" }

    private func send(
        _ server: ServerUnderTest, _ parts: [String], _ more: String = ""
    ) async throws -> ServerUnderTest.Reply {
        try await server.post(
            "/v1/chat/completions",
            "{\"messages\":[{\"role\":\"user\",\"content\":[\(parts.joined(separator: ","))]}]\(more)}")
    }

    /// 112 x 112 becomes 16 tokens, 224 x 112 becomes 32, in the order of the parts.
    @Test func placesEachImageAtItsPlaceholder() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await send(
            server, [text("a"), image(TestPicture.url(224, 112)), text("b"), image(TestPicture.url(112, 112))])
        #expect(reply.status == 200)
        #expect(reply.headers[.imageFit] == nil)
        let prompt = try #require(server.engine.requests.first?.prompt)
        func span(_ count: Int) -> [TokenID] {
            TestModel.tokens("<|begin_of_image|>") + [TokenID](repeating: TestModel.image, count: count)
                + TestModel.tokens("<|end_of_image|>")
        }
        #expect(
            prompt.tokens == TestModel.tokens("<|user|>a") + span(32) + TestModel.tokens("b") + span(16)
                + TestModel.tokens("<|assistant|>"))
        #expect(prompt.images.map(\.offset) == [3, 38])
        #expect(prompt.images.map(\.image.width) == [224, 112])
        #expect(reply.json["usage"]?["prompt_tokens_details"]?["multimodal_tokens"] == .integer(48))
    }

    /// Text that spells control tokens stays text (CVE-2026-44222), with and without images.
    @Test(arguments: TestModel.special) func neverReadsTextAsControl(_ token: String) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let id = try #require(TestModel.tokenizer.id(of: token))
        let plain = try await server.post(
            "/v1/chat/completions", "{\"messages\":[{\"role\":\"system\",\"content\":\"x\(token)\"}]}")
        #expect(plain.status == 200)
        let mixed = try await send(server, [image(TestPicture.url(112, 112)), text("x\(token)y")])
        #expect(mixed.status == 200)
        let counts = server.engine.requests.map { request in request.prompt.tokens.filter { $0 == id }.count }
        let own = ["<|system|>": [1, 0], "<|user|>": [0, 1], "<|assistant|>": [1, 1], "<|image|>": [0, 16]]
        let markers = ["<|begin_of_image|>": [0, 1], "<|end_of_image|>": [0, 1]]
        #expect(counts == own[token] ?? markers[token] ?? [0, 0])
    }

    @Test func refusesPlaceholdersWithoutImages() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        for prompt in ["\"a<|image|>\"", "[1,\(TestModel.image)]"] {
            #expect(try await server.post("/v1/completions", "{\"prompt\":\(prompt)}").status == 400)
        }
    }

    /// 560 x 560 is 400 tokens; a context of 300 holds it shrunk, and says so.
    @Test func shrinksAnImageThatDoesNotFit() async throws {
        let model = try TestModel.served(maxModelLength: 300)
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"), model: model)
        let reply = try await send(server, [image(TestPicture.url(560, 560))], ",\"max_tokens\":40")
        #expect(reply.status == 200)
        let request = try #require(server.engine.requests.first)
        let placed = try #require(request.prompt.images.first).image
        #expect(reply.headers[.imageFit] == "560x560->\(placed.width)x\(placed.height)")
        #expect(placed.tokenCount < 400)
        #expect(request.prompt.tokens.count + 40 <= 300)
        #expect(request.sampling.maxTokens == 40)
        let page = try await server.send(.get, "/metrics").text
        #expect(page.contains("martlet:images_fitted_total{model_name=\"autoglm-phone-9b\"} 1.0\n"))
    }

    @Test func refusesAnImageThatCannotFit() async throws {
        let tiny = try ServerUnderTest(ScriptedEngine(saying: "Y"), model: TestModel.served(maxModelLength: 100))
        let below = try await send(tiny, [image(TestPicture.url(560, 560))], ",\"max_tokens\":40")
        #expect(below.status == 400)
        #expect(below.error["param"] == .string("input_tokens"))
        let off = try ServerUnderTest(ScriptedEngine(saying: "Y"), model: TestModel.served(maxModelLength: 300)) {
            $0.fitsImages = false
        }
        let refused = try await send(off, [image(TestPicture.url(560, 560))])
        #expect(refused.status == 400)
        #expect(refused.error["message"]?.string?.hasPrefix("This model's maximum context length is 300") == true)
    }

    @Test func readsLocalFilesOnlyBelowTheRoot() async throws {
        let base = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: base) }
        let root = base.appendingPathComponent("root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            at: base.appendingPathComponent("root2"), withIntermediateDirectories: true)
        let picture = Data(TestPicture.png(112, 112))
        for name in ["root/a b.png", "secret.png", "root2/x.png"] {
            try picture.write(to: base.appendingPathComponent(name))
        }
        try Data().write(to: root.appendingPathComponent("empty.png"))
        try FileManager.default.createSymbolicLink(
            at: root.appendingPathComponent("link.png"), withDestinationURL: base.appendingPathComponent("secret.png"))
        #expect(mkfifo(root.appendingPathComponent("pipe.png").path, 0o600) == 0)
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.localMediaPath = root.path }
        let good = try await send(server, [image("file://\(root.path)/a%20b.png")])
        #expect(good.status == 200)
        for path in [
            "\(root.path)/../secret.png", "\(root.path)/%2e%2e/secret.png", "\(root.path)/link.png",
            "\(root.path)/pipe.png", "\(root.path)/empty.png", "\(root.path)", "\(root.path)/none.png",
            "\(base.path)/root2/x.png", "/dev/zero", "/etc/passwd", "\(root.path)/a%00b.png",
        ] {
            let reply = try await send(server, [image("file://\(path)")])
            #expect(reply.status == 400, "\(path)")
            #expect(!reply.text.contains(base.path), "\(path)")
        }
    }
}
