import CMartletKernels
import MartletCore
import MartletTensor

// MARK: - Vision

extension CPUBackend {
    package func extractPatches(
        _ image: PreparedImage, temporalPatch: Int, range: Range<Int>, into y: Activation<Storage>
    ) {
        let width = 3 * temporalPatch * image.patchSize * image.patchSize
        precondition(y.rows == range.count && y.width == width, "extractPatches: shapes disagree")
        precondition(range.upperBound <= image.patchRows * image.patchColumns, "extractPatches: no such patches")
        image.levels.withUnsafeBufferPointer { levels in
            image.rgb.withUnsafeBufferPointer { rgb in
                guard let levels = levels.baseAddress, let rgb = rgb.baseAddress else { return }
                parallelRows(range.count, width: width) { rows in
                    var source = martlet_image(
                        rgb: rgb, width: image.width, levels: levels, patch_size: image.patchSize,
                        merge_size: image.mergeSize, frames: temporalPatch)
                    kernels.table.pointee.extract_patches(
                        &source, range.lowerBound + rows.lowerBound, rows.count, y.row(rows.lowerBound), y.stride)
                }
            }
        }
    }

    package func addPositions(
        _ table: Vector, side: Int, rows: Int, columns: Int, mergeSize: Int, to x: Activation<Storage>
    ) {
        precondition(x.rows == rows * columns, "addPositions: shapes disagree")
        precondition(table.count == side * side * x.width, "addPositions: another table")
        precondition(rows % mergeSize == 0 && columns % mergeSize == 0, "addPositions: blocks are not whole")
        parallelRows(x.rows, width: 16 * x.width) { range in
            var grid = martlet_position_grid(
                table: table.start, side: side, width: x.width, rows: rows, columns: columns, merge_size: mergeSize)
            kernels.table.pointee.add_positions(
                &grid, range.lowerBound, range.count, x.row(range.lowerBound), x.stride)
        }
    }
}
