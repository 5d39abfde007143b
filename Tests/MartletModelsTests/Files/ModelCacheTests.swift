import Foundation
import MartletTestSupport
import Testing

@testable import MartletModels

@Suite struct ModelCacheTests {
    private let home: TemporaryDirectory

    init() throws { home = try TemporaryDirectory() }

    private func find(_ name: String, _ environment: [String: String] = [:]) throws -> String {
        let all = environment.merging(["HOME": home.path]) { first, _ in first }
        return try ModelCache(environment: all).directory(of: name).replacing(home.path, with: "~")
    }

    @Test func hubNamesAreTwoPlainWords() {
        #expect(ModelCache.isHubName("zai-org/AutoGLM-Phone-9B") && ModelCache.isHubName("a/b_1.5"))
        for other in ["a", "a/b/c", "/a", "a/", "./a", "../a", "a/..", "a b/c", "a/b\u{0}", "é/a", ""] {
            #expect(!ModelCache.isHubName(other), "\(other)")
        }
    }

    @Test func theMainSnapshotIsFound() throws {
        let repository = ".cache/huggingface/hub/models--zai-org--M"
        try home.write("{}", to: "\(repository)/snapshots/aaa/config.json")
        try home.write("{}", to: "\(repository)/snapshots/bbb/config.json")
        try home.write("aaa\n", to: "\(repository)/refs/main")
        #expect(try find("zai-org/M") == "~/\(repository)/snapshots/aaa")
        try home.write("../../..", to: "\(repository)/refs/main")
        #expect(try find("zai-org/M").hasPrefix("~/\(repository)/snapshots/"))
    }

    @Test func theEnvironmentIsFollowed() throws {
        try home.write("{}", to: "one/models--a--b/snapshots/x/config.json")
        try home.write("{}", to: "two/hub/models--a--b/snapshots/y/config.json")
        #expect(try find("a/b", ["HF_HUB_CACHE": home.path + "/one"]) == "~/one/models--a--b/snapshots/x")
        #expect(try find("a/b", ["HF_HOME": "~/two"]) == "~/two/hub/models--a--b/snapshots/y")
        #expect(throws: ModelError.self) { try find("a/b") }
    }

    @Test(arguments: [
        ".cache/modelscope/hub/models/ZhipuAI/AutoGLM-Phone-1.5", ".cache/modelscope/hub/ZhipuAI/AutoGLM-Phone-1___5",
        ".cache/modelscope/hub/zai-org/AutoGLM-Phone-1.5",
    ]) func modelScopesSpellingsAreFound(place: String) throws {
        try home.write("{}", to: place + "/config.json")
        #expect(try find("zai-org/AutoGLM-Phone-1.5") == "~/" + place)
    }

    @Test func whatIsNotThereIsExplained() throws {
        try home.write("", to: ".cache/huggingface/hub/models--zai-org--M/refs/main")
        let error = try #require(#expect(throws: ModelError.self) { try find("zai-org/M") })
        for line in [
            "\(home.path)/.cache/huggingface/hub/models--zai-org--M",
            "\(home.path)/.cache/modelscope/hub/models/ZhipuAI/M",
            "hf download zai-org/M", "huggingface-cli download zai-org/M", "modelscope download --model ZhipuAI/M",
        ] { #expect(error.description.contains(line), "\(error)") }
    }
}
