import ArgumentParser
import Foundation
import MartletCore
import MartletEngine
import MartletModels
import MartletServer
import MartletText
import MartletVision
import Testing

@testable import MartletCommand

/// The terminal's commands on the tiny checkpoint, whose weights are made up: it sees, and knows nothing.
@Suite struct LocalModelTests {
    private static let tiny = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../EndToEnd/tiny-glm4v").standardizedFileURL.path

    private func settings(_ more: String...) throws -> ServeSettings {
        let line = [Self.tiny, "--load-format", "dummy", "--max-model-len", "512", "--kv-cache-memory-bytes", "8M"]
        return try FlagReader(line + more).settings(environment: [:])
    }

    @Test func checklistPasses() async throws {
        var settings = try settings()
        settings.engine.enablePrefixCaching = false
        try await LocalModel.run(settings, isQuiet: true) { local in
            var checklist = Checklist(local: local, tokenCount: 4)
            var lines: [String] = []
            await checklist.run { lines.append($0) }
            #expect(checklist.failureCount == 0, "\(lines)")
            #expect(lines.count == 6)
            #expect(lines.contains { $0.hasPrefix("[ok]     row purity  alone and among 5 others") })
            #expect(lines.contains { $0.hasPrefix("[ok]     picture") })
        }
    }

    @Test func checklistNamesWhatFails() async throws {
        // Without room for an answer's questions everything that generates fails, in words and without an end.
        var settings = try settings()
        settings.model.maxModelLength = 16
        try await LocalModel.run(settings, isQuiet: true) { local in
            var checklist = Checklist(local: local, tokenCount: 4)
            var lines: [String] = []
            await checklist.run { lines.append($0) }
            #expect(checklist.failureCount >= 2, "\(lines)")
            #expect(lines.contains { $0.hasPrefix("[FAILED] answer") && $0.contains("and the context 16") })
        }
    }

    @Test func selfcheckExitsWithOne() async throws {
        let command = try #require(
            try MartletCommand.parseAsRoot(["selfcheck", "/nowhere/model"]) as? SelfcheckCommand)
        do {
            try await command.run()
            Issue.record("a model that is not there passed")
        } catch { #expect(CommandLineEntry.report(error).code == 1) }
    }

    @Test func generationTellsItsTimes() async throws {
        try await LocalModel.run(try settings(), isQuiet: true) { local in
            var sampling = SamplingParameters()
            sampling.temperature = 0
            sampling.maxTokens = 5
            sampling.ignoresEndOfGeneration = true
            let request = GenerationRequest(prompt: Prompt(tokens: [5, 6, 7]), sampling: sampling)
            let whole = try await local.generate(request)
            #expect(whole.tokens.count == 5)
            #expect(whole.finish == .length)
            #expect(whole.seconds == whole.seconds.sorted() && whole.seconds.count == 5)
            // Enough after two: the rest is not waited for.
            var seen = 0
            let part = try await local.generate(request) { seen += $0.count; return seen < 2 }
            #expect(part.tokens == Array(whole.tokens.prefix(2)))
            #expect(part.finish == .stop)
        }
    }

    @Test func conversationPlacesPictures() async throws {
        try await LocalModel.run(try settings(), isQuiet: true) { local in
            let processor = try #require(local.assembly.images)
            let picture = try processor.prepare(Checklist.drawing(isRed: true))
            var conversation = Conversation(system: "Be brief.")
            conversation.ask("What is it?", picture: picture)
            conversation.answer("A disc.")
            try conversation.ask("Sure?", pictures: [], of: local.assembly)
            let prompt = try conversation.prompt(of: local.assembly).prompt
            let placed = try #require(prompt.images.first)
            #expect(prompt.images.count == 1)
            let token = try #require(local.assembly.files.configuration.imageToken)
            #expect(prompt.tokens.count { $0 == token } == picture.tokenCount)
            #expect(prompt.tokens[placed.offset] == token)
            #expect(prompt.tokens[placed.offset + picture.tokenCount - 1] == token)
            #expect(throws: PictureError(file: "/nowhere.png", reason: "cannot be read")) {
                try conversation.ask("x", pictures: ["/nowhere.png"], of: local.assembly)
            }
            #expect(throws: PictureError.self) { try conversation.ask("x", pictures: [#filePath], of: local.assembly) }
        }
    }

    @Test func samplingDefaultsAreTheModels() async throws {
        try await LocalModel.run(
            try settings("--override-generation-config", "{\"temperature\": 0.25}"), isQuiet: true
        ) { #expect($0.defaults.temperature == 0.25) }
    }
}
