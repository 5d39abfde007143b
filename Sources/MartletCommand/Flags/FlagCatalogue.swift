/// Every flag that `martlet serve` knows, in the order of its help. `docs/flags.md` is this table.
enum FlagCatalogue {
    struct Section: Sendable {
        let title: String
        let flags: [ServeFlag]
    }

    static let sections: [Section] = [
        Section(title: "Model", flags: modelFlags),
        Section(title: "Memory and scheduling", flags: schedulingFlags),
        Section(title: "Images and chat", flags: chatFlags),
        Section(title: "Server", flags: serverFlags),
        Section(title: "Logs and metrics", flags: logFlags),
        Section(title: "Several devices", flags: parallelFlags),
        Section(title: "Adapters, speculation and compilation", flags: engineFlags),
    ]

    static let flags = sections.flatMap(\.flags)

    private static let byName: [String: ServeFlag] = {
        var table: [String: ServeFlag] = [:]
        for flag in flags { for name in flag.names { table[name] = flag } }
        return table
    }()

    /// `name` without dashes at its front; `_` and `-` are one.
    static func flag(named name: String) -> ServeFlag? { byName[canonical(name)] }

    static func canonical(_ name: String) -> String { name.replacing("_", with: "-") }

    /// The known name that `name` most likely means; nil if none is near.
    static func suggestion(for name: String) -> String? {
        let name = canonical(name)
        let longNames = flags.flatMap(\.names).filter { $0.count > 2 }
        if let longer = longNames.filter({ $0.hasPrefix(name) }).min(by: { $0.count < $1.count }) { return longer }
        let nearest = longNames.map { (name: $0, distance: editDistance(name, $0)) }.min { $0.distance < $1.distance }
        guard let nearest, nearest.distance <= max(2, name.count / 4) else { return nil }
        return nearest.name
    }

    /// Levenshtein's.
    static func editDistance(_ left: String, _ right: String) -> Int {
        let right = Array(right.utf8)
        var row = Array(0...right.count)
        for (index, byte) in left.utf8.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let substituted = diagonal + (byte == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substituted, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
