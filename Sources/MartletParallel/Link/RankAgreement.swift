import MartletCore

/// What all ranks must have been told alike, in words that a person can compare: flags, the model, the version.
package struct RankAgreement: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package let entries: [Entry]

    package init(_ entries: [Entry]) { self.entries = entries }

    /// The first difference, seen from rank 0: "--dtype is f16 there and f32 on rank 0"; nil if there is none.
    func difference(to lead: RankAgreement) -> String? {
        for entry in entries {
            let other = lead.entries.first { $0.name == entry.name }?.value ?? "nothing"
            if other != entry.value {
                return "\(entry.name) is \(Self.short(entry.value)) there and \(Self.short(other)) on rank 0"
            }
        }
        let missing = lead.entries.first { entry in !entries.contains { $0.name == entry.name } }
        return missing.map { "\($0.name) is nothing there and \(Self.short($0.value)) on rank 0" }
    }

    private static func short(_ value: String) -> String {
        value.isEmpty ? "nothing" : value.count > 200 ? value.prefix(200) + "…" : value
    }

    /// Of names and values, in their order.
    var checksum: Digest {
        var hasher = DigestHasher()
        for text in entries.flatMap({ [$0.name, $0.value] }) {
            hasher.update(UInt64(text.utf8.count))
            hasher.update(text.utf8)
        }
        return hasher.finish()
    }
}
