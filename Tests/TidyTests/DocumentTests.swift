import Foundation
import Testing

/// The documents say what is so: their links, file names, sections, metrics and version exist.
@Suite struct DocumentTests {
    private let tree = SourceTree.shared

    private func document(_ path: String) throws -> SourceTree.File { try #require(tree.file(path), "\(path)") }

    /// Levels of a document's headings; `#` in code fences is none.
    private func headings(_ file: SourceTree.File) -> [Int] {
        var isFenced = false
        return file.lines.compactMap { line in
            if line.hasPrefix("```") { isFenced.toggle() }
            let level = line.prefix { $0 == "#" }.count
            return !isFenced && level > 0 && line.dropFirst(level).hasPrefix(" ") ? level : nil
        }
    }

    @Test func bothReadmesHaveTheSameParts() throws {
        let english = try document("README.md"), chinese = try document("README.zh.md")
        #expect(headings(english) == headings(chinese))
        let fences = [english, chinese].map { file in file.lines.count { $0.hasPrefix("```") } }
        #expect(fences[0] == fences[1], "the same commands in both")
    }

    @Test func everyTargetIsInTheArchitecture() throws {
        let architecture = try document("ARCHITECTURE.md").text
        let package = try document("Package.swift").text
        let targets = package.split(separator: "arget(").dropFirst().compactMap { piece in
            piece.split(separator: "name: \"", maxSplits: 1).last?.split(separator: "\"", maxSplits: 1).first
        }
        #expect(targets.count > 15)
        for target in targets where !architecture.contains("`\(target)`") {
            Issue.record("ARCHITECTURE.md does not name \(target)")
        }
    }

    @Test func theChangelogHasThisVersion() throws {
        let source = try document("Sources/MartletServer/MartletVersion.swift").text
        let version = try #require(source.split(separator: "number = \"").last?.split(separator: "\"").first)
        #expect(try document("CHANGELOG.md").lines.contains { $0.hasPrefix("## \(version) ") })
    }

    @Test func linksLeadSomewhere() {
        for file in tree.documents {
            let folder = file.path.split(separator: "/").dropLast().map { "\($0)/" }.joined()
            for piece in file.text.split(separator: "](").dropFirst() {
                let target = piece.prefix { $0 != ")" && $0 != "#" }
                guard !target.isEmpty, !target.contains(":"), !tree.holds(folder + target) else { continue }
                Issue.record("\(file.path) links to \(target)")
            }
        }
    }

    /// Files named in documents in backticks.
    @Test func namedFilesExist() {
        for file in tree.documents {
            for piece in code(file.text) where piece.allSatisfy(isOfName) {
                let isPath = ["Sources/", "Tests/", "Tools/", "Deploy/", "docs/"].contains { piece.hasPrefix($0) }
                guard isPath || piece.hasSuffix(".swift") else { continue }
                let name = piece.hasSuffix("/") ? piece.dropLast() : piece
                if !tree.holds(String(name)) { Issue.record("\(file.path) names \(piece)") }
            }
        }
    }

    /// `MODEL.md 2.1.3` and `API.md 2.5` in code and documents.
    @Test(arguments: ["MODEL.md", "API.md"])
    func citedSectionsExist(_ name: String) throws {
        let sections = Self.sections(of: try document(name).lines)
        for file in tree.others {
            for piece in file.text.split(separator: name + " ", omittingEmptySubsequences: false).dropFirst() {
                for number in Self.numbers(piece) where !sections.contains(number) {
                    Issue.record("\(file.path) cites \(name) \(number)")
                }
            }
        }
        #expect(sections.count > 10)
    }

    /// Numbers of headings (`### 2.1 …`, `**0.2** …`), and of the items of a numbered list below one (`2.1.3`).
    private static func sections(of lines: [Substring]) -> Set<String> {
        var sections: Set<String> = []
        var heading = ""
        for line in lines {
            let text = line.drop { "#* ".contains($0) }
            let number = text.prefix { $0.isNumber || $0 == "." }
            guard let first = number.first, first.isNumber else { continue }
            if line.hasPrefix("#") { heading = trimmed(number) }
            if line.hasPrefix("#") || line.hasPrefix("**") { sections.insert(trimmed(number)) }
            if line.first?.isNumber ?? false, number.hasSuffix("."), !heading.isEmpty {
                sections.insert("\(heading).\(trimmed(number))")
            }
        }
        return sections
    }

    private static func trimmed(_ number: Substring) -> String { number.split(separator: ".").joined(separator: ".") }

    /// `8.2, 8.3).` cites two sections.
    private static func numbers(_ text: Substring) -> [String] {
        var numbers: [String] = []
        var rest = text
        while let first = rest.first, first.isNumber {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            numbers.append(trimmed(number))
            rest = rest.dropFirst(number.count)
            guard !number.hasSuffix("."), rest.hasPrefix(", ") else { break }
            rest = rest.dropFirst(2)
        }
        return numbers
    }

    @Test func dashboardsReadMetricsThatExist() throws {
        let sources = tree.sources.filter { $0.path.contains("/Metrics/") }.map(\.text).joined()
        var count = 0
        for file in tree.files where file.path.hasPrefix("Deploy/prometheus/") {
            if file.path.hasSuffix(".json") {
                #expect(throws: Never.self, "\(file.path)") {
                    try JSONSerialization.jsonObject(with: Data(file.text.utf8))
                }
            }
            for family in ["vllm:", "martlet:"] {
                for piece in file.text.split(separator: family, omittingEmptySubsequences: false).dropFirst() {
                    let name = piece.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                    count += 1
                    let stems = ["", "_total", "_bucket", "_sum", "_count", "_queries_total", "_hits_total"]
                    let isThere = stems.contains { stem in
                        name.hasSuffix(stem) && sources.contains("\"\(family)\(name.dropLast(stem.count))\"")
                    }
                    #expect(isThere, "\(file.path): \(family)\(name)")
                }
            }
        }
        #expect(count > 10)
    }

    private func isOfName(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "/._+-".contains(character)
    }

    /// Every family that /metrics has, by the stem that stands in its source.
    @Test func everyMetricIsInTheAPI() throws {
        let page = try document("API.md").text
        for file in tree.sources where file.path.contains("/Metrics/") {
            for piece in file.text.split(separator: "\"") where Self.isFamily(piece) {
                let stem = piece.prefix { $0 != "\\" }
                if !page.contains("`\(stem)") { Issue.record("API.md 2.4 does not name \(stem)") }
            }
        }
    }

    private static func isFamily(_ literal: Substring) -> Bool {
        literal.hasPrefix("vllm:") || literal.hasPrefix("martlet:")
    }

    /// `(D12)` in the code is a decision of ARCHITECTURE.md.
    @Test func citedDecisionsExist() throws {
        let architecture = try document("ARCHITECTURE.md").text
        for file in tree.sources {
            for piece in file.text.split(separator: "(D").dropFirst() {
                let number = piece.prefix(while: \.isNumber)
                guard !number.isEmpty, piece.dropFirst(number.count).first.map({ ");,:".contains($0) }) ?? false,
                    !architecture.contains("**D\(number)")
                else { continue }
                Issue.record("\(file.path) cites D\(number)")
            }
        }
    }

    /// What stands between single backticks, outside fences.
    private func code(_ text: String) -> [Substring] {
        var pieces: [Substring] = []
        var isFenced = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("```") { isFenced.toggle() }
            if isFenced { continue }
            for (index, piece) in line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where index % 2 == 1 { pieces.append(piece) }
        }
        return pieces
    }
}
