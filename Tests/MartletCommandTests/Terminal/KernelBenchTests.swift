import MartletCPU
import MartletTensor
import Testing

@testable import MartletCommand

@Suite struct KernelBenchTests {
    /// Products of made-up weights are ordinary numbers: neither infinite nor all zero.
    @Test(arguments: DType.allCases)
    func madeUpWeightsAreSensible(dtype: DType) throws {
        let backend = try CPUBackend(threads: 1)
        let source = MadeUpWeights(dtype, rows: 40, columns: 512)
        let matrix = try backend.loadMatrix([source.slice], from: source, dtype: nil)
        let x = try backend.makeActivation(rows: 1, width: 512)
        let y = try backend.makeActivation(rows: 1, width: 40)
        backend.write([Float](repeating: 0.5, count: 512), to: x)
        backend.linear(x, matrix, bias: nil, into: y)
        let values = backend.read(y)
        #expect(values.allSatisfy { abs($0) < 1e6 && abs($0) > 1e-6 }, "\(values)")
        #expect(Set(values.prefix(16)).count == 16, "the rows of a panel differ")
    }

    @Test func countsBytesAndOperations() throws {
        let backend = try CPUBackend(threads: 2, activations: .int8)
        let bench = KernelBench(backend: backend, repeats: 1, seconds: 0, spreadBytes: 100_000)
        let speeds = try bench.product(.q4_0, rows: 64, columns: 1024, batches: [1, 3])
        #expect(speeds.map(\.batch) == [1, 3])
        for speed in speeds {
            // 4.5 bits a weight, two operations for each and row.
            let operationsPerByte = speed.operationsPerSecond / speed.bytesPerSecond
            #expect(abs(operationsPerByte - 2 * Double(speed.batch) / (18.0 / 32)) < 1e-6)
            #expect(speed.activations == .int8)
        }
        let plain = try bench.product(.bf16, rows: 16, columns: 64, batches: [1])
        #expect(plain.first?.activations == .f32)
        #expect(try bench.readSpeed() > 0)
    }
}
