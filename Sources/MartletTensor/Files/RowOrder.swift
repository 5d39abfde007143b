/// How the rows of query and key matrices were reordered inside each head by the GGUF converter, and how to read
/// them back in Hugging Face order (MODEL.md 8.2).
struct RowOrder: Sendable, Equatable {
    enum Kind: Sendable {
        /// Rows are in Hugging Face order.
        case same
        /// The file has even rows first, then odd ones; the model rotates (2j, 2j+1): GLM-4 with
        /// `rope.dimension_sections`.
        case evenThenOdd
        /// The file has the two halves interleaved; the model rotates (i, i + half): Llama.
        case halvesInterleaved
    }

    let kind: Kind
    /// Rows of one head.
    let headDimension: Int
    /// Rows at the start of each head that were reordered; even, at most `headDimension`.
    let rotaryDimension: Int

    static let same = RowOrder(kind: .same, headDimension: 1, rotaryDimension: 0)

    /// The row of the file that is row `row` of the model.
    func source(_ row: Int) -> Int {
        let inHead = row % headDimension
        guard inHead < rotaryDimension else { return row }
        let start = row - inHead
        let half = rotaryDimension / 2
        switch kind {
        case .same: return row
        case .evenThenOdd: return start + inHead / 2 + (inHead % 2) * half
        case .halvesInterleaved: return start + (inHead % half) * 2 + inHead / half
        }
    }
}
