import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

@Suite struct BlockKeyTests {
    private let root = BlockKey(modelIdentity: "model", salt: "")
    private let tokens: [TokenID] = [1, 2, 3, 4]

    private func key(parent: BlockKey? = nil, _ tokens: [TokenID]? = nil, start: Int = 0, images: [SequenceImage] = [])
        -> BlockKey
    {
        BlockKey(parent: parent ?? root, tokens: (tokens ?? self.tokens)[...], start: start, images: images)
    }

    private func image(_ seed: UInt8, at offset: Int, rows: Int = 2, columns: Int = 2) -> SequenceImage {
        SequenceImage(image: .tiny(rows: rows, columns: columns, seed: seed), offset: offset, unitCount: 1)
    }

    @Test func everythingThatChangesTheKVChangesTheKey() {
        let all = [
            key(), key([1, 2, 3, 5]), key([1, 2, 3]), key(parent: key()),
            key(parent: BlockKey(modelIdentity: "model", salt: "s")),
            key(parent: BlockKey(modelIdentity: "other", salt: "")), key(images: [image(1, at: 0)]),
            key(images: [image(2, at: 0)]), key(images: [image(1, at: 1)]),
            key(images: [image(1, at: 0, rows: 1, columns: 4)]),
            key(images: [image(1, at: 0), image(1, at: 4)].dropLast(0) + [image(3, at: 3)]),
        ]
        #expect(Set(all).count == all.count)
    }

    @Test func whatDoesNotChangeItDoesNot() {
        #expect(key(images: [image(1, at: 4)]) == key(), "an image behind the block")
        #expect(key(start: 8, images: [image(1, at: 4)]) == key(start: 8), "an image before the block")
        #expect(key(start: 8, images: [image(1, at: 9)]) == key(start: 0, images: [image(1, at: 1)]))
    }

    @Test func identityAndSaltDoNotRunTogether() {
        #expect(BlockKey(modelIdentity: "ab", salt: "c") != BlockKey(modelIdentity: "a", salt: "bc"))
    }
}
