/// `18,22`: the layers of each stage of a pipeline.
enum LayerCounts {
    static func read(_ text: String) throws(UsageError) -> [Int] {
        let words = text.split(separator: ",", omittingEmptySubsequences: false), counts = words.compactMap { Int($0) }
        guard words.count <= 1024, counts.count == words.count else {
            throw UsageError("--pipeline-layer-partition: '\(text.prefix(64))' is no list of layers such as 18,22.")
        }
        return counts
    }
}
