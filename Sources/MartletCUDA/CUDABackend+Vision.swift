import CCUDA
import MartletCore
import MartletTensor

// MARK: - Vision

/// Pictures whose pixels are on the device while their patches are embedded: the last few, each brought once.
struct DevicePictures {
    private static let limit = 4
    private var pictures: [Picture] = []

    /// The pixels, and what their bytes mean.
    final class Picture {
        let hash: Digest
        private let pixels, levels: DeviceBuffer

        /// [height, width, 3] bytes; [3, 256] floats.
        var rgb: CUdeviceptr { pixels.address }
        var values: CUdeviceptr { levels.address }

        init(_ image: PreparedImage, on stream: DeviceStream, by staging: Staging) throws(CUDAError) {
            hash = image.contentHash
            pixels = try DeviceBuffer(image.rgb.count, for: .activations, on: stream)
            let values = image.levels
            levels = try DeviceBuffer(values.count * MemoryLayout<Float>.stride, for: .activations, on: stream)
            try staging.copy(image.rgb, to: pixels.address)
            try staging.copy(values, to: levels.address)
        }
    }

    mutating func picture(
        _ image: PreparedImage, on stream: DeviceStream, by staging: Staging
    ) throws(CUDAError) -> Picture {
        if let known = pictures.first(where: { $0.hash == image.contentHash }) { return known }
        if pictures.count >= Self.limit { pictures.removeFirst() }
        let picture = try Picture(image, on: stream, by: staging)
        pictures.append(picture)
        return picture
    }

    /// Its pixels are not needed any more.
    mutating func drop(_ picture: Picture) { pictures.removeAll { $0 === picture } }
}

extension CUDABackend {
    package func extractPatches(
        _ image: PreparedImage, temporalPatch: Int, range: Range<Int>, into y: Activation<Storage>
    ) {
        let width = 3 * temporalPatch * image.patchSize * image.patchSize
        let patchCount = image.patchRows * image.patchColumns
        precondition(y.rows == range.count && y.width == width, "extractPatches: shapes disagree")
        precondition(range.upperBound <= patchCount, "extractPatches: no such patches")
        perform {
            let picture = try pictures.picture(image, on: stream, by: staging)
            try launch(
                KernelName(.extractPatches, y.dtype), grid: (range.count, 1, 1), threads: 256, picture.rgb,
                Int32(image.width), picture.values, Int32(image.patchSize), Int32(image.mergeSize),
                Int32(temporalPatch), Int32(range.lowerBound), y.address, y.kernelStride)
            if range.upperBound == patchCount { pictures.drop(picture) }
        }
    }

    package func addPositions(
        _ table: Vector, side: Int, rows: Int, columns: Int, mergeSize: Int, to x: Activation<Storage>
    ) {
        precondition(x.rows == rows * columns, "addPositions: shapes disagree")
        precondition(table.count == side * side * x.width, "addPositions: another table")
        precondition(rows % mergeSize == 0 && columns % mergeSize == 0, "addPositions: blocks are not whole")
        precondition(x.dtype == .f32, "addPositions: to f32")
        perform {
            try launch(
                KernelName(.addPositions), grid: (x.rows, 1, 1), threads: 256, table.address, Int32(side),
                x.kernelWidth, Int32(rows), Int32(columns), Int32(mergeSize), x.address, x.kernelStride)
        }
    }
}
