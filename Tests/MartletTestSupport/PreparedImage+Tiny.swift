import MartletCore

extension PreparedImage {
    /// An image of `rows` x `columns` tokens whose content is `seed`.
    package static func tiny(rows: Int, columns: Int, seed: UInt8) -> PreparedImage {
        PreparedImage(
            width: columns, height: rows, originalWidth: columns, originalHeight: rows,
            rgb: [UInt8](repeating: seed, count: rows * columns * 3), patchSize: 1, mergeSize: 1, mean: .zero,
            deviation: .one)
    }
}
