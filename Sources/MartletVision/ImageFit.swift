/// The size an image gets so that its prompt fits.
package struct FittedSize: Sendable, Equatable {
    package let size: ResizedSize
    /// The limit that gives this size, for `ImageProcessor.prepare`; nil where the image keeps its full size.
    package let longestEdge: Int?
}

extension ImageProcessor {
    /// Shrinks images until they cost `tokenBudget` tokens or fewer together (D16): always the image that is largest
    /// now, the earlier of two equals, by lowering its pixel limit under the reference's own rounding, and only as far
    /// as the budget asks or as the next largest stands. No image falls below a quarter of its full tokens; nil when
    /// that is not enough. Where all fit, none changes. `images` holds sizes after orientation.
    ///
    /// Throws what `size` throws. Without `do_resize` nothing can shrink.
    package func fit(
        images: [(width: Int, height: Int)], tokenBudget: Int
    ) throws(ImageError) -> [FittedSize]? {
        var fitted: [FittedSize] = []
        for image in images {
            fitted.append(FittedSize(size: try size(width: image.width, height: image.height), longestEdge: nil))
        }
        var floors = fitted.map { ($0.size.tokenCount + 3) / 4 }
        var total = fitted.reduce(0) { $0 + $1.size.tokenCount }
        while total > tokenBudget {
            guard configuration.doResize, let largest = largest(of: fitted, above: floors) else { return nil }
            let tokens = fitted[largest].size.tokenCount
            let rivals = fitted.indices.filter { $0 != largest && fitted[$0].size.tokenCount > floors[$0] }
            let next = rivals.map { fitted[$0].size.tokenCount }.max() ?? 0
            let wanted = max(tokens - (total - tokenBudget), next - 1, floors[largest])
            let goal = min(wanted, tokens - 1)
            guard let smaller = try shrunk(images[largest], to: goal, floor: floors[largest]) else {
                floors[largest] = tokens    // its next smaller size is below a quarter: the others must do
                continue
            }
            total -= tokens - smaller.size.tokenCount
            fitted[largest] = smaller
        }
        return fitted
    }

    private func largest(of fitted: [FittedSize], above floors: [Int]) -> Int? {
        var best: Int?
        for index in fitted.indices where fitted[index].size.tokenCount > floors[index] {
            if best.map({ fitted[index].size.tokenCount > fitted[$0].size.tokenCount }) ?? true { best = index }
        }
        return best
    }

    /// The largest size of at most `goal` tokens that a pixel limit can give, if it has `floor` tokens or more.
    /// Tokens grow with the limit, so a binary search over limits of whole tokens finds it.
    private func shrunk(
        _ image: (width: Int, height: Int), to goal: Int, floor: Int
    ) throws(ImageError) -> FittedSize? {
        let factor = configuration.patchSize * configuration.mergeSize
        let edgePerToken = factor * factor * configuration.temporalPatchSize
        var low = 0, high = goal
        var found: FittedSize?
        while low < high {
            let middle = (low + high + 1) / 2
            let limit = middle * edgePerToken
            let candidate = try size(width: image.width, height: image.height, longestEdge: limit)
            if limit >= configuration.shortestEdge && candidate.tokenCount > goal {
                high = middle - 1
            } else {
                low = middle
                if limit >= configuration.shortestEdge { found = FittedSize(size: candidate, longestEdge: limit) }
            }
        }
        guard let found, found.size.tokenCount >= floor else { return nil }
        return found
    }
}
