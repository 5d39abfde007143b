import CCUDA
import CMartletKernels
import MartletTensor
import MartletTestSupport

@testable import MartletCPU
@testable import MartletCUDA

/// Values of one type in memory of an emulated GPU, for kernels alone.
final class DeviceValues<Value: BitwiseCopyable> {
    private let gpu: CUDABackend
    private let buffer: DeviceBuffer
    private let count: Int

    init(_ values: [Value], on gpu: CUDABackend) throws {
        self.gpu = gpu
        count = values.count
        let bytes = count * MemoryLayout<Value>.stride
        buffer = try DeviceBuffer(bytes, for: .activations, on: gpu.stream)
        try values.withUnsafeBytes { values in
            guard let start = values.baseAddress else { return }
            try gpu.stream.copy(bytes, from: start, to: buffer.address)
            try gpu.stream.synchronize()
        }
    }

    var address: CUdeviceptr { buffer.address }

    /// What lies there once everything before it is done.
    func read() throws -> [Value] {
        try [Value](unsafeUninitializedCapacity: count) { values, initialized in
            guard let start = values.baseAddress else { return }
            try gpu.stream.copy(count * MemoryLayout<Value>.stride, from: buffer.address, to: start)
            try gpu.stream.synchronize()
            initialized = count
        }
    }
}

/// Rows [rows, width] of a plain type as they lie in memory, with gaps that no kernel may touch.
struct StoredRows {
    let dtype: DType
    let rows, width, stride: Int
    private(set) var bytes: [UInt8]

    /// `values`: [rows * width], rounded to the type; none: the rows are like the gaps.
    init(_ dtype: DType, rows: Int, width: Int, stride: Int, values: [Float] = []) throws {
        (self.dtype, self.rows, self.width, self.stride) = (dtype, rows, width, stride)
        bytes = [UInt8](repeating: 0x5A, count: rows * stride * dtype.blockBytes)
        let table = try ScalarKernels.table, rowBytes = width * dtype.blockBytes
        guard !values.isEmpty else { return }
        precondition(values.count == rows * width, "\(values.count) values for [\(rows), \(width)]")
        bytes.withUnsafeMutableBytes { bytes in
            values.withUnsafeBufferPointer { values in
                guard let start = bytes.baseAddress, let from = values.baseAddress, rowBytes > 0 else { return }
                for row in 0..<rows {
                    let place = start + row * stride * dtype.blockBytes
                    _ = table.narrow(dtype.kernelType, from + row * width, place, width)
                }
            }
        }
    }

    /// Random, in -scale ... scale.
    static func random(
        _ dtype: DType, rows: Int, width: Int, stride: Int, scale: Float = 1, seed: UInt64 = 1
    ) throws -> StoredRows {
        var generator = SeededGenerator(seed: seed)
        let values = generator.floats(rows * width, in: -scale...scale)
        return try StoredRows(dtype, rows: rows, width: width, stride: stride, values: values)
    }

    /// The same rows with other values.
    func with(_ values: [Float]) throws -> StoredRows {
        try StoredRows(dtype, rows: rows, width: width, stride: stride, values: values)
    }

    /// [rows * width].
    func values(of bytes: [UInt8]) throws -> [Float] {
        let table = try ScalarKernels.table
        return [Float](unsafeUninitializedCapacity: rows * width) { values, initialized in
            bytes.withUnsafeBytes { bytes in
                guard let to = values.baseAddress, let start = bytes.baseAddress else { return }
                for row in 0..<rows {
                    let place = start + row * stride * dtype.blockBytes
                    table.widen(dtype.kernelType, place, to + row * width, width)
                }
            }
            initialized = rows * width
        }
    }

    func values() throws -> [Float] { try values(of: bytes) }

    /// A copy on the GPU.
    func on(_ gpu: CUDABackend) throws -> DeviceValues<UInt8> { try DeviceValues(bytes, on: gpu) }
}

/// The truth.
enum ScalarKernels {
    static var table: martlet_kernel_table {
        get throws { try CPUKernels(isa: "scalar").table.pointee }
    }
}
