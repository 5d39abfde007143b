import Foundation

/// The checkout as the style law sees it: its text files, read once.
struct SourceTree: Sendable {
    struct File: Sendable {
        /// From the root of the checkout: `Sources/MartletCore/JSONValue.swift`.
        let path: String
        let text: String
        let lines: [Substring]
        /// Of Swift and C, without comments and literals; empty for other files.
        let code: CodeText

        var isSwift: Bool { path.hasSuffix(".swift") }
        var isC: Bool { path.hasSuffix(".c") || path.hasSuffix(".h") }
        var isDocument: Bool { path.hasSuffix(".md") }
        /// Made by a program: its first line says `// Made by Tools/…`. Lengths do not count there.
        var isGenerated: Bool { lines.first?.hasPrefix("// Made by Tools/") ?? false }
        /// `MartletCore` of `Sources/MartletCore/…`; nil outside Sources and Tests.
        var target: String? {
            let pieces = path.split(separator: "/")
            guard pieces.count > 2, ["Sources", "Tests"].contains(pieces[0]) else { return nil }
            return String(pieces[1])
        }
    }

    static let shared = SourceTree()

    let files: [File]

    /// Links are followed, so that a package of links to the checkout sees the checkout.
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let endings: Set<String> = ["swift", "c", "h", "py", "sh", "md", "json", "yml", "yaml"]
    private static let leftOut: Set<String> = ["Fixtures", "__pycache__", "build"]

    private init() {
        var paths = (try? FileManager.default.contentsOfDirectory(atPath: Self.root.path)) ?? []
        for folder in ["Sources", "Tests", "Tools", "Deploy", "docs"] {
            let walk = FileManager.default.enumerator(atPath: Self.root.path + "/" + folder)
            while let path = walk?.nextObject() as? String {
                paths.append(folder + "/" + path)
            }
        }
        files = paths.sorted().compactMap(Self.read)
    }

    private static func read(_ path: String) -> File? {
        let pieces = path.split(separator: "/")
        guard let name = pieces.last, name == "Makefile" || endings.contains((String(name) as NSString).pathExtension),
            !pieces.contains(where: { leftOut.contains(String($0)) }),
            let data = FileManager.default.contents(atPath: root.path + "/" + path)
        else { return nil }
        let text = String(decoding: data, as: UTF8.self)
        let isCode = ["swift", "c", "h"].contains { name.hasSuffix(".\($0)") }
        return File(
            path: path, text: text, lines: text.split(separator: "\n", omittingEmptySubsequences: false),
            code: CodeText(isCode ? text : ""))
    }

    func file(_ path: String) -> File? { files.first { $0.path == path } }

    /// Whether something of this name lies in the checkout: a path from the root, or the end of one.
    func holds(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: Self.root.path + "/" + name)
            || files.contains { $0.path.hasSuffix("/" + name) }
    }

    /// Swift and C under Sources.
    var sources: [File] { files.filter { $0.path.hasPrefix("Sources/") && ($0.isSwift || $0.isC) } }
    var documents: [File] { files.filter(\.isDocument) }
    /// All but the law itself, which names what it forbids.
    var others: [File] { files.filter { !$0.path.hasPrefix("Tests/TidyTests/") } }
}
