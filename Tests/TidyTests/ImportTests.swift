import Testing

/// Who may know whom: the table of ARCHITECTURE.md. The compiler keeps our own targets apart as Package.swift says;
/// this keeps Package.swift, and what comes from outside, to the plan.
@Suite struct ImportTests {
    private let tree = SourceTree.shared

    private static let system: Set<String> = ["Foundation", "Dispatch", "Synchronization", "Glibc", "Musl", "Darwin"]

    private static let allowed: [String: Set<String>] = [
        "MartletCore": ["CDigest"],
        "MartletTensor": ["MartletCore", "CDigest"],
        "MartletText": ["MartletCore"],
        "MartletVision": ["MartletCore", "CImage"],
        "MartletEngine": ["MartletCore", "DequeModule"],
        "MartletParallel": ["MartletCore", "CMartletKernels", "CMPI", "DequeModule"],
        "MartletModels": ["MartletEngine", "MartletTensor", "MartletParallel", "MartletCore"],
        "MartletCPU": ["MartletTensor", "MartletParallel", "MartletCore", "CMartletKernels"],
        "MartletCUDA": ["MartletCPU", "MartletTensor", "MartletParallel", "MartletCore", "CCUDA"],
        "MartletServer": [
            "MartletEngine", "MartletText", "MartletVision", "MartletCore", "Hummingbird", "HummingbirdCore",
            "HTTPTypes", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL", "Logging", "ServiceLifecycle", "UnixSignals",
        ],
        "MartletCommand": [
            "MartletServer", "MartletEngine", "MartletModels", "MartletCUDA", "MartletCPU", "MartletParallel",
            "MartletText", "MartletVision", "MartletTensor", "MartletCore", "ArgumentParser", "Logging",
            "ServiceLifecycle",
        ],
        "martlet": ["MartletCommand"],
    ]

    @Test func targetsImportWhatTheTableAllows() {
        for file in tree.sources where file.isSwift {
            guard let target = file.target, let allowed = Self.allowed[target] else {
                Issue.record("\(file.path): its target is not in the table")
                continue
            }
            for module in imports(of: file) where !allowed.contains(module) && !Self.system.contains(module) {
                Issue.record("\(file.path): \(target) must not know \(module)")
            }
        }
    }

    /// Values and pictures need nothing of Foundation; it would come with its own JSON and formatting.
    @Test(arguments: ["MartletCore", "MartletVision", "MartletCPU"])
    func lowTargetsDoWithoutFoundation(_ target: String) {
        for file in tree.sources where file.target == target {
            #expect(!imports(of: file).contains("Foundation"), "\(file.path)")
        }
    }

    private func imports(of file: SourceTree.File) -> [String] {
        file.code.lines.compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), words[..<index].allSatisfy({ prefixes.contains($0) })
            else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            let name = words[(index + 1)...].first { !kinds.contains($0) }
            return name.flatMap { $0.split(separator: ".").first }.map(String.init)
        }
    }

    private let prefixes: Set<Substring> = [
        "@testable", "@_exported", "@preconcurrency", "public", "package", "internal",
    ]
}
