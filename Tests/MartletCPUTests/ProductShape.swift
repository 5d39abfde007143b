@testable import MartletCPU
import MartletTensor
import MartletTestSupport
import Testing

/// A matrix to multiply with.
struct ProductShape {
    let rows: Int
    let columns: Int

    /// Shapes that end in the middle of panels, tiles and blocks of this type.
    static func of(_ dtype: DType) -> [ProductShape] {
        switch dtype.blockElements {
        case 256: [ProductShape(rows: 17, columns: 256), ProductShape(rows: 70, columns: 512)]
        case 32:
            [
                ProductShape(rows: 1, columns: 32), ProductShape(rows: 15, columns: 64),
                ProductShape(rows: 70, columns: 448),
            ]
        default:
            [
                ProductShape(rows: 1, columns: 1), ProductShape(rows: 16, columns: 37),
                ProductShape(rows: 17, columns: 256), ProductShape(rows: 70, columns: 448),
            ]
        }
    }
}

func load(_ tensor: StoredTensor, _ backend: CPUBackend) throws -> CPUBackend.Matrix {
    try backend.loadMatrix([MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: nil)
}

/// x W^T + bias through the backend, [rows, matrix.rows].
func product(
    _ x: [Float], rows: Int, _ matrix: CPUBackend.Matrix, bias: [Float]? = nil, _ backend: CPUBackend
) throws -> [Float] {
    // Strided rows inside wider ones, so that no kernel can rely on dense ones or write past its own.
    let wideX = try backend.makeActivation(rows: rows, width: matrix.columns + 3)
    let wideY = try backend.makeActivation(rows: rows, width: matrix.rows + 5)
    backend.write([Float](repeating: 7, count: rows * (matrix.rows + 5)), to: wideY)
    let y = wideY.columns(2..<2 + matrix.rows)
    backend.write(x, to: wideX.columns(1..<1 + matrix.columns))
    let vector = try bias.map { try CPUBackend.Vector($0) }
    backend.linear(wideX.columns(1..<1 + matrix.columns), matrix, bias: vector, into: y)
    let after = 2 + matrix.rows..<5 + matrix.rows
    let margins = backend.read(wideY.columns(0..<2)) + backend.read(wideY.columns(after))
    #expect(margins.allSatisfy { $0 == 7 })
    return backend.read(y)
}
