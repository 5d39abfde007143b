import MartletEngine
import MartletTensor

/// M-RoPE positions of one sequence (MODEL.md 1.5): text counts up by one; an image's tokens share T and spread H
/// and W over its grid; after it the count goes on from the longer side.
package struct SequencePositions: Sendable, Equatable {
    private struct Grid: Sendable, Equatable {
        let span: ImageSpan
        /// Position of its first token.
        let start: Int
    }

    private let grids: [Grid]

    /// `images` in the order of their offsets, not overlapping.
    package init(images: [ImageSpan]) {
        var grids: [Grid] = [], shift = 0
        for span in images {
            grids.append(Grid(span: span, start: span.offset + shift))
            shift += max(span.rows, span.columns) - span.rows * span.columns
        }
        self.grids = grids
    }

    /// Position after the last token minus the number of tokens: never positive (the reference's `rope_deltas`).
    package var delta: Int {
        grids.reduce(0) { $0 + max($1.span.rows, $1.span.columns) - $1.span.rows * $1.span.columns }
    }

    /// Appends the positions of the tokens in `range`, generated ones included.
    package func append(_ range: Range<Int>, to positions: inout RotaryPositions) {
        // The last image that starts at or before the range, then walk on.
        var next = grids.firstIndex { $0.span.tokenRange.upperBound > range.lowerBound } ?? grids.count
        var shift = grids[..<next].reduce(0) {
            $0 + max($1.span.rows, $1.span.columns) - $1.span.rows * $1.span.columns
        }
        for index in range {
            if next < grids.count, index >= grids[next].span.offset {
                let grid = grids[next]
                let (row, column) = (index - grid.span.offset).quotientAndRemainder(dividingBy: grid.span.columns)
                positions.append(t: Int32(grid.start), h: Int32(grid.start + row), w: Int32(grid.start + column))
                if index + 1 == grid.span.tokenRange.upperBound {
                    shift += max(grid.span.rows, grid.span.columns) - grid.span.rows * grid.span.columns
                    next += 1
                }
            } else {
                let position = Int32(index + shift)
                positions.append(t: position, h: position, w: position)
            }
        }
    }
}
