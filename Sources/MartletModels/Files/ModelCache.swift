import Foundation

/// Where the Hugging Face and ModelScope tools keep what they downloaded. Only looks; nothing here goes to the
/// network.
package struct ModelCache: Sendable {
    private let environment: [String: String]

    /// `environment`: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, MODELSCOPE_CACHE and HOME are read.
    package init(environment: [String: String]) { self.environment = environment }

    /// Whether `name` has the form of a hub's `organisation/model`.
    package static func isHubName(_ name: String) -> Bool {
        let pieces = name.split(separator: "/", omittingEmptySubsequences: false)
        return pieces.count == 2
            && pieces.allSatisfy { piece in
                !piece.isEmpty && piece.utf8.count <= 96 && !piece.hasPrefix(".")
                    && piece.utf8.allSatisfy { byte in
                        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                            || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
                    }
            }
    }

    /// The hub's name of the model whose snapshot `path` is in a Hugging Face cache, nil for other directories.
    package static func hubName(ofSnapshot path: String) -> String? {
        let pieces = URL(fileURLWithPath: path).standardizedFileURL.pathComponents
        guard pieces.count >= 3, pieces[pieces.count - 2] == "snapshots" else { return nil }
        let words = pieces[pieces.count - 3].split(separator: "--")
        return words.count == 3 && words[0] == "models" ? "\(words[1])/\(words[2])" : nil
    }

    /// The directory of a downloaded model. Throws an error that lists where it looked and how to download it.
    package func directory(of name: String) throws(ModelError) -> String {
        var looked: [String] = []
        for cache in huggingFaceCaches {
            let repository = "\(cache)/models--\(name.replacing("/", with: "--"))"
            looked.append(repository)
            if let snapshot = Self.snapshot(of: repository) { return snapshot }
        }
        for cache in modelScopeCaches {
            for spelling in modelScopeSpellings(name) {
                let directory = "\(cache)/\(spelling)"
                looked.append(directory)
                if Self.holdsModel(directory) { return directory }
            }
        }
        throw ModelError(
            file: name,
            reason: "is not a file or directory here, and neither cache has it. Looked in:\n"
                + looked.map { "  \($0)\n" }.joined() + "Download it with one of\n"
                + "  hf download \(name)\n" + "  huggingface-cli download \(name)\n"
                + "  modelscope download --model \(modelScopeName(name))\n"
                + "or give the path of its directory or .gguf file")
    }

    // MARK: Hugging Face

    private func set(_ key: String) -> String? {
        guard let value = environment[key], !value.isEmpty else { return nil }
        return value.hasPrefix("~/") ? (environment["HOME"] ?? "") + value.dropFirst() : value
    }

    private var huggingFaceCaches: [String] {
        var caches: [String] = []
        if let cache = set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE") { caches.append(cache) }
        if let home = set("HF_HOME") { caches.append(home + "/hub") }
        if let cache = set("XDG_CACHE_HOME") { caches.append(cache + "/huggingface/hub") }
        if let home = set("HOME") { caches.append(home + "/.cache/huggingface/hub") }
        return Self.unique(caches)
    }

    /// The snapshot `refs/main` names, else the one changed last.
    private static func snapshot(of repository: String) -> String? {
        let snapshots = repository + "/snapshots"
        if let data = FileManager.default.contents(atPath: repository + "/refs/main"), data.count <= 256 {
            let commit = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            let isPlain = !commit.isEmpty && commit.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 > 0x20 }
            if isPlain, commit != "..", holdsModel("\(snapshots)/\(commit)") { return "\(snapshots)/\(commit)" }
        }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: snapshots)) ?? []
        return names.sorted().map { "\(snapshots)/\($0)" }.filter(holdsModel).max { changed($0) < changed($1) }
    }

    private static func changed(_ path: String) -> Date {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date ?? .distantPast
    }

    // MARK: ModelScope

    private var modelScopeCaches: [String] {
        var caches: [String] = []
        if let cache = set("MODELSCOPE_CACHE") {
            caches += [cache + "/models", cache + "/hub/models", cache + "/hub", cache]
        }
        if let home = set("HOME") {
            let cache = home + "/.cache/modelscope"
            caches += [cache + "/hub/models", cache + "/models", cache + "/hub"]
        }
        return Self.unique(caches)
    }

    /// Zhipu's models are under another organisation there.
    private func modelScopeName(_ name: String) -> String {
        name.hasPrefix("zai-org/") ? "ZhipuAI/" + name.dropFirst("zai-org/".count) : name
    }

    /// Some versions of its tool write dots as three underscores.
    private func modelScopeSpellings(_ name: String) -> [String] {
        let names = Self.unique([modelScopeName(name), name])
        return Self.unique(names.flatMap { [$0, $0.replacing(".", with: "___")] })
    }

    // MARK: Both

    private static func holdsModel(_ directory: String) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.contains { $0 == "config.json" || $0.hasSuffix(".gguf") }
    }

    private static func unique(_ items: [String]) -> [String] {
        var seen: Set<String> = []
        return items.filter { seen.insert($0).inserted }
    }
}
