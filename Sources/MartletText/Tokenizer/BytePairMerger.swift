import MartletCore

/// Byte-level BPE of one piece at a time, and the room it needs. Time is n log n in the length of a piece.
struct BytePairMerger {
    private let vocabulary: Vocabulary
    private let merges: MergeTable
    private let unknown: TokenID?
    /// A piece that is a token stays whole, whatever the merges say.
    private let ignoresMerges: Bool

    /// The tokens of the current piece; `nexts` and `previous` link those that are left of a long one.
    private var tokens: [TokenID] = []
    /// `pairs[i]`: the merge of token i and the token after it.
    private var pairs: [MergeTable.Merge] = []
    private var nexts: [Int32] = []
    private var previous: [Int32] = []
    /// Min-heap of rank << 32 | position.
    private var heap: [UInt64] = []
    /// Merges looked up, compared or moved so far: the work done, for tests.
    private(set) var operations = 0

    init(vocabulary: Vocabulary, merges: MergeTable, unknown: TokenID?, ignoresMerges: Bool) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.unknown = unknown
        self.ignoresMerges = ignoresMerges
    }

    /// Appends the tokens of `piece`, which is not empty. A byte that is no token becomes the unknown token; without
    /// one it is dropped, as Hugging Face's does.
    /// Pieces of at most `searchedCount` tokens are searched for the next merge, longer ones keep a heap.
    mutating func append(
        _ piece: UnsafeBufferPointer<UInt8>, to output: inout [TokenID], searchedCount: Int = 24
    ) {
        operations += piece.count
        if ignoresMerges, let whole = vocabulary.token(piece) {
            output.append(whole)
            return
        }
        tokens.removeAll(keepingCapacity: true)
        for byte in piece {
            let token = vocabulary.byteTokens[Int(byte)]
            if token >= 0 { tokens.append(token) } else if let unknown { tokens.append(unknown) }
        }
        pairs.removeAll(keepingCapacity: true)
        if tokens.count > 1 {
            for index in 0..<tokens.count - 1 { pairs.append(merges.merge(tokens[index], tokens[index + 1])) }
        }
        if tokens.count <= searchedCount {
            mergeBySearch()
            output.append(contentsOf: tokens)
        } else {
            mergeByHeap()
            var index = tokens.isEmpty ? -1 : 0
            while index >= 0 {
                output.append(tokens[index])
                index = Int(nexts[index])
            }
        }
    }

    /// Performs the most urgent merge, the leftmost of equals, until none is left.
    private mutating func mergeBySearch() {
        let merges = merges
        var steps = 0
        var count = tokens.count
        tokens.withUnsafeMutableBufferPointer { tokens in
            pairs.withUnsafeMutableBufferPointer { pairs in
                while count > 1 {
                    var best = MergeTable.none
                    var index = 0
                    for candidate in 0..<count - 1 where pairs[candidate] < best {
                        best = pairs[candidate]
                        index = candidate
                    }
                    steps += count
                    guard best != MergeTable.none else { return }
                    count -= 1
                    tokens[index] = MergeTable.result(of: best)
                    for gone in index + 1..<max(count, index + 1) {
                        tokens[gone] = tokens[gone + 1]
                        pairs[gone - 1] = pairs[gone]
                    }
                    if index > 0 { pairs[index - 1] = merges.merge(tokens[index - 1], tokens[index]) }
                    if index + 1 < count { pairs[index] = merges.merge(tokens[index], tokens[index + 1]) }
                }
            }
        }
        operations += steps
        tokens.removeLast(tokens.count - count)
    }

    /// The same, with the merges in a heap. An entry is stale if the pair at its position has another rank by now.
    private mutating func mergeByHeap() {
        let count = tokens.count
        pairs.append(MergeTable.none)
        nexts = (1...count).map { $0 == count ? -1 : Int32(truncatingIfNeeded: $0) }
        previous = (0..<count).map { Int32(truncatingIfNeeded: $0) - 1 }
        heap.removeAll(keepingCapacity: true)
        for index in 0..<count { push(index) }
        while let entry = pop() {
            let index = Int(UInt32(truncatingIfNeeded: entry))
            guard pairs[index] >> 32 == entry >> 32 else { continue }
            let gone = Int(nexts[index])
            tokens[index] = MergeTable.result(of: pairs[index])
            pairs[gone] = MergeTable.none
            let after = Int(nexts[gone])
            nexts[index] = Int32(truncatingIfNeeded: after)
            pairs[index] = MergeTable.none
            if after >= 0 {
                previous[after] = Int32(truncatingIfNeeded: index)
                pairs[index] = merges.merge(tokens[index], tokens[after])
                push(index)
            }
            let before = Int(previous[index])
            if before >= 0 {
                pairs[before] = merges.merge(tokens[before], tokens[index])
                push(before)
            }
        }
    }

    /// Enters the pair at `index`, if it is a merge.
    private mutating func push(_ index: Int) {
        guard pairs[index] != MergeTable.none else { return }
        let entry = (pairs[index] >> 32) << 32 | UInt64(UInt32(truncatingIfNeeded: index))
        var position = heap.count
        heap.append(entry)
        while position > 0 {
            operations += 1
            let parent = (position - 1) / 2
            guard heap[parent] > entry else { break }
            heap[position] = heap[parent]
            position = parent
        }
        heap[position] = entry
    }

    private mutating func pop() -> UInt64? {
        guard let top = heap.first, let entry = heap.popLast() else { return nil }
        var steps = 1
        heap.withUnsafeMutableBufferPointer { heap in
            guard !heap.isEmpty else { return }
            var position = 0
            while true {
                var child = 2 * position + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
                guard heap[child] < entry else { break }
                heap[position] = heap[child]
                position = child
                steps += 1
            }
            heap[position] = entry
        }
        operations += steps
        return top
    }
}
