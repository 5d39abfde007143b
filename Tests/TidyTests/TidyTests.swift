import Testing

/// The style law of CONTRIBUTING.md. Lists of exceptions may shrink, never grow.
@Suite struct TidyTests {
    private let tree = SourceTree.shared

    /// Functions that are longer than the law allows, by file and name; the number is what they may have.
    private static let longFunctions: [String: Int] = [:]

    /// Who may share what the compiler cannot see is safe, and why it is.
    private static let unchecked: [String: String] = [
        "Sources/MartletCPU/MemoryReading.swift": "memory that is read only, by whoever holds it",
        "Sources/MartletCPU/ThreadPool.swift": "the crew's counters are atomic, and one task at a time is published",
        "Sources/MartletCUDA/PeerExchange.swift": "a rank's mailbox does not change, and is shown before ranks meet",
        "Sources/MartletCommand/SharedWeights.swift": "weights are read only once they are loaded",
        "Sources/MartletEngine/EngineExecutor.swift": "jobs are touched under a condition only",
        "Sources/MartletEngine/EngineGroup.swift": "each runner of an array that is sent goes to one engine",
        "Sources/MartletTensor/Files/MappedFile.swift": "a read-only mapping",
    ]

    @Test func theCheckoutIsThere() {
        #expect(tree.sources.count > 100)
        #expect(tree.documents.count > 5)
    }

    @Test func linesFit120Columns() {
        for file in tree.files where (file.isSwift || file.isC) && !file.isGenerated {
            for (index, line) in file.lines.enumerated() where line.unicodeScalars.count > 120 {
                Issue.record("\(file.path):\(index + 1): \(line.unicodeScalars.count) columns")
            }
        }
    }

    @Test func filesFit500Lines() {
        for file in tree.files where (file.isSwift || file.isC) && !file.isGenerated && file.lines.count > 501 {
            Issue.record("\(file.path): \(file.lines.count - 1) lines; a second noun wants a second file")
        }
    }

    @Test func functionsFit70Lines() {
        var unused = Set(Self.longFunctions.keys)
        for file in tree.files where (file.isSwift || file.isC) && !file.isGenerated {
            let code = file.code.bytes
            let lengths = file.isSwift ? FunctionLengths(swift: code) : FunctionLengths(c: code)
            for function in lengths.functions where function.length > 70 {
                let key = "\(file.path) \(function.name)"
                unused.remove(key)
                if function.length > Self.longFunctions[key] ?? 70 {
                    Issue.record("\(file.path):\(function.line): \(function.name) has \(function.length) lines")
                }
            }
        }
        #expect(unused.isEmpty, "no longer too long, so no longer exceptions")
    }

    @Test func nothingIsLeftForLater() {
        for file in tree.others {
            for (index, line) in file.lines.enumerated() {
                for word in ["TO" + "DO", "FIX" + "ME"] where line.contains(word) {
                    Issue.record("\(file.path):\(index + 1): \(word): finish it or file an issue")
                }
            }
        }
    }

    @Test(arguments: ["try!", "as!", "fatalError(", "NSRegularExpression", "Regex(", "Regex<"])
    func sourcesNeverSay(_ word: String) { forbid(word, in: tree.sources.filter(\.isSwift)) }

    @Test func onlyTheCommandPrints() {
        forbid("print(", in: tree.sources.filter { $0.isSwift && $0.target != "MartletCommand" })
    }

    @Test func uncheckedSharingIsAnException() {
        var unused = Set(Self.unchecked.keys)
        for file in tree.sources where file.isSwift {
            let words = ["@unchecked", "nonisolated(unsafe)"]
            guard file.code.lines.contains(where: { line in words.contains { line.contains($0) } }) else { continue }
            #expect(unused.remove(file.path) != nil, "\(file.path) shares unchecked: say why in the list, or don't")
        }
        #expect(unused.isEmpty, "no longer unchecked, so no longer exceptions")
    }

    /// A fetcher beside `MediaFetcher` would have none of its checks.
    @Test(arguments: [
        ("Bootstrap(", ["Fetch/Dialler.swift"]),
        ("getaddrinfo(", ["Fetch/HostResolver.swift", "Serve/PortCheck.swift", "Link/LinkSocket.swift"]),
        ("socket(", ["Serve/PortCheck.swift", "Link/LinkSocket.swift"]), ("URLSession", []),
        ("FoundationNetworking", []), ("AsyncHTTPClient", []), ("gethostbyname", []),
    ] as [(String, [String])])
    func onlyTheFetcherOpensSockets(_ word: String, _ places: [String]) {
        for file in tree.sources where file.isSwift && !places.contains(where: { file.path.hasSuffix("/" + $0) }) {
            for (index, line) in file.code.lines.enumerated() where line.contains(word) {
                Issue.record("\(file.path):\(index + 1): \(word): ask MediaFetcher")
            }
        }
    }

    @Test func noPathOfAMachine() {
        for file in tree.others {
            for (index, line) in file.lines.enumerated() {
                for start in ["home", "Users", "root"].map({ "/\($0)/" }) where names(start, in: line) {
                    Issue.record("\(file.path):\(index + 1): a path of somebody's machine")
                }
            }
        }
    }

    /// Swift code without comments and literals.
    private func forbid(_ word: String, in files: [SourceTree.File]) {
        for file in files {
            for (index, line) in file.code.lines.enumerated() {
                for range in line.ranges(of: word) {
                    let before = line[..<range.lowerBound].last
                    // `has!`, `reprint(`, `.print(`: other words.
                    if let before, before.isLetter || before.isNumber || "_.".contains(before) { continue }
                    Issue.record("\(file.path):\(index + 1): \(word)")
                }
            }
        }
    }

    /// Whether an absolute path begins with `start` here; `a/work/b` is none.
    private func names(_ start: String, in line: Substring) -> Bool {
        line.ranges(of: start).contains { range in
            line[..<range.lowerBound].last.map { !$0.isLetter && !$0.isNumber && !"}._-~/".contains($0) } ?? true
        }
    }
}
