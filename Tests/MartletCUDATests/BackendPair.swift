import MartletCPU
import MartletCUDA
import MartletTensor
import MartletTestSupport
import Testing

/// A backend on an emulated GPU, and the truth: the CPU's plain kernels.
struct BackendPair {
    let gpu: CUDABackend
    let cpu: CPUBackend

    init(_ operandType: DType, on gpus: EmulatedGPUs) throws {
        gpu = try gpus.backend(operandType)
        cpu = try CPUBackend(threads: 1, isa: "scalar")
    }

    /// The same values in both memories.
    struct Rows {
        let gpu: Activation<CUDABackend.Storage>
        let cpu: Activation<CPUBackend.Storage>
    }

    /// [rows, width] of random values, rounded to what the role keeps; a gap of `padding` between rows.
    func rows(
        _ rows: Int, _ width: Int, padding: Int = 0, role: ActivationRole = .exact, scale: Float = 1, seed: UInt64 = 1
    ) throws -> Rows {
        var generator = SeededGenerator(seed: seed)
        let made = try empty(rows, width, padding: padding, role: role)
        gpu.write(generator.floats(rows * width, in: -scale...scale), to: made.gpu)
        cpu.write(try gpu.read(made.gpu), to: made.cpu)
        return made
    }

    func empty(_ rows: Int, _ width: Int, padding: Int = 0, role: ActivationRole = .exact) throws -> Rows {
        let columns = 0..<width
        return Rows(
            gpu: try gpu.makeActivation(rows: rows, width: width + padding, role: role).columns(columns),
            cpu: try cpu.makeActivation(rows: rows, width: width + padding, role: role).columns(columns))
    }

    struct Vectors {
        let gpu: CUDABackend.Vector
        let cpu: CPUBackend.Vector
    }

    func vector(_ count: Int, seed: UInt64 = 2) throws -> Vectors {
        var generator = SeededGenerator(seed: seed)
        let bytes = generator.floats(count).flatMap { DType.f32.plainBytes($0) }
        let info = TensorInfo(name: "v", dtype: .f32, shape: [count])
        let source = MemoryWeightSource(StoredTensor(info, bytes: bytes))
        return Vectors(
            gpu: try gpu.loadVector([MatrixSlice(info)], from: source),
            cpu: try cpu.loadVector([MatrixSlice(info)], from: source))
    }

    /// The largest difference, relative to the truth's largest magnitude, is within `bound`.
    func expectNear(
        _ rows: Rows, within bound: Float, _ what: String = "", location: SourceLocation = #_sourceLocation
    ) throws {
        let found = try gpu.read(rows.gpu), truth = cpu.read(rows.cpu)
        let size = truth.reduce(Float.leastNormalMagnitude) { max($0, abs($1)) }
        let worst = zip(found, truth).reduce(Float(0)) { worst, pair in
            let difference = abs(pair.0 - pair.1) / size
            return difference.isNaN ? .infinity : max(worst, difference)
        }
        #expect(worst <= bound, "\(what): \(worst) of \(size)", sourceLocation: location)
    }
}

extension DType {
    /// A few roundings to this type.
    var bound: Float {
        switch self {
        case .f16: 2e-3
        case .bf16: 1.6e-2
        default: 1e-5
        }
    }

    static let operands: [DType] = [.f32, .f16, .bf16]
}
