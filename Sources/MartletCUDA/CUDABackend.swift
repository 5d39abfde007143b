import CCUDA
import MartletCPU
import MartletCore
import MartletParallel
import MartletTensor

/// The model's operations on one GPU. Confined to one thread at a time. Operations put work on a stream and return;
/// `read`, `tokens(of:)` and what exchanges with other ranks wait for it.
///
/// What fails in an operation that can't throw is noted, the operations behind it do nothing, and the next one that
/// can throw reports it: so a step that failed ends before any of its tokens are believed. `DeviceLost` is reported
/// for good; after anything else, such as memory that was not to be had, the backend goes on.
package final class CUDABackend: Backend {
    package let device: CUDADevice
    /// Element type of operands: f32, f16 or bf16.
    package let operandType: DType
    /// The ranks that share every layer, as this one sees them.
    let communicator: any Communicator
    let capturesGraphs: Bool
    /// Of products of many rows with quantised weights; nil: operands.
    package let eightBits: EightBits?
    /// Of their sums that are scaled at a time.
    var eightBitSumBytes = 16 << 20
    let stream: DeviceStream
    let kernels: Kernels
    let staging: Staging
    /// Reads, converts and quantises what is loaded.
    let host: CPUKernels
    let pool: ThreadPool
    let products: DenseProducts
    let strips: PinnedStrips
    let scratch: ScratchMemory
    let batches: StagedBatches
    /// Where what comes from the device arrives, if the host waits for it.
    let arrivals: PinnedScratch
    /// And if the host goes on.
    let resultPlaces: ResultPlaces
    let kept: KeptTokens
    let ranks: RankExchange
    var rotaries: [RotaryFrequencies] = []
    var pictures = DevicePictures()
    private let failures: NotedFailure

    /// `operandType`: f32, f16 or bf16. `threads`: of the host, for loading. `cache`: of compiled kernels. `peers`:
    /// where all ranks of `communicator` are threads of this process; without it, and without NCCL, they exchange
    /// through the host's memory. `capturesGraphs`: whether decodes are written down and replayed. `eightBits`: for
    /// products of many rows with quantised weights, which the device must be able to. Throws `CUDAError`.
    package init(
        _ device: CUDADevice, operandType: DType, threads: Int? = nil, cache: KernelCache = KernelCache(),
        communicator: any Communicator = SoleCommunicator(), peers: PeerGroup? = nil, capturesGraphs: Bool = true,
        eightBits: EightBits? = nil
    ) throws {
        precondition(!operandType.isQuantized, "operands of \(operandType)")
        precondition((eightBits?.leastArchitecture ?? 0) <= device.architecture, "8 bits that the device has not")
        self.eightBits = eightBits
        self.device = device
        self.operandType = operandType
        self.communicator = communicator
        self.capturesGraphs = capturesGraphs
        failures = NotedFailure()
        pool = ThreadPool(threadCount: threads ?? ThreadPool.defaultThreadCount())
        host = try CPUKernels()
        stream = try DeviceStream(device)
        kernels = try Kernels(device, cache: cache, pool: pool)
        staging = try Staging(on: stream)
        products = try DenseProducts(on: stream)
        strips = try PinnedStrips(on: stream)
        scratch = ScratchMemory(on: stream)
        batches = StagedBatches(scratch)
        arrivals = PinnedScratch(on: stream)
        resultPlaces = ResultPlaces(on: stream)
        kept = KeptTokens(on: stream)
        ranks = RankExchange(communicator, group: peers, on: stream)
    }

    /// A backend with operands of another type on the stream of `other`: each reads what the other has written, and
    /// reports what it could not do. It makes no products in 8 bits.
    private init(beside other: CUDABackend, operandType: DType) {
        precondition(!operandType.isQuantized, "operands of \(operandType)")
        self.operandType = operandType
        eightBits = nil
        (device, stream, kernels, staging) = (other.device, other.stream, other.kernels, other.staging)
        (communicator, ranks, capturesGraphs) = (other.communicator, other.ranks, other.capturesGraphs)
        (host, pool, products, strips) = (other.host, other.pool, other.products, other.strips)
        (scratch, batches, arrivals, failures) = (other.scratch, other.batches, other.arrivals, other.failures)
        (resultPlaces, kept) = (other.resultPlaces, other.kept)
    }

    /// This backend with operands of another type, in the same order of work, and no products in 8 bits: for a part of
    /// a model that needs another range or precision than the rest.
    package func beside(operandType: DType) -> CUDABackend { CUDABackend(beside: self, operandType: operandType) }

    /// Activations: elements of one type in memory of the device.
    package final class Storage {
        let dtype: DType
        private let memory: DeviceBuffer

        init(count: Int, dtype: DType, on stream: DeviceStream) throws(CUDAError) {
            self.dtype = dtype
            memory = try DeviceBuffer(count * dtype.blockBytes, for: .activations, on: stream)
        }

        var address: CUdeviceptr { memory.address }
    }

    /// A small f32 weight.
    package final class Vector {
        package let count: Int
        private let memory: DeviceBuffer

        init(count: Int, on stream: DeviceStream) throws(CUDAError) {
            self.count = count
            memory = try DeviceBuffer(count * MemoryLayout<Float>.stride, for: .weights, on: stream)
        }

        var address: CUdeviceptr { memory.address }
    }

    // MARK: Failures

    /// Runs what an operation that can't throw does, unless an earlier one failed.
    func perform(_ body: () throws -> Void) {
        guard failures.noted == nil else { return }
        do {
            try device.makeCurrent()
            try body()
        } catch {
            failures.note(error)
        }
    }

    /// The same of one that throws: what it, or an earlier one, could not do.
    func performThrowing<Result>(_ body: () throws -> Result) throws -> Result {
        try failures.report()
        do {
            try device.makeCurrent()
            return try body()
        } catch {
            failures.note(error)
            try failures.report()
            throw error
        }
    }

    // MARK: Launches

    /// Puts a kernel on the stream: blocks of `threads` threads, `shared` bytes of dynamic memory each.
    func launch<each Value: KernelArgument>(
        _ name: KernelName, grid: (Int, Int, Int), threads: Int, shared: Int = 0, _ values: repeat each Value
    ) throws(CUDAError) {
        let function = try kernels.function(name)
        guard grid.0 > 0, grid.1 > 0, grid.2 > 0 else { return }
        let code = KernelArguments.with(repeat each values) { arguments in
            device.library.api.cuLaunchKernel(
                function, UInt32(grid.0), UInt32(grid.1), UInt32(grid.2), UInt32(threads), 1, 1, UInt32(shared),
                stream.handle, arguments, nil)
        }
        try device.library.check(code, "cuLaunchKernel")
    }
}

extension Activation where Storage == CUDABackend.Storage {
    /// Row 0, column 0. The storage must outlive the use: hold the activation.
    var address: CUdeviceptr { storage.address + UInt64(offset * storage.dtype.blockBytes) }
    var dtype: DType { storage.dtype }
    /// As kernels take it.
    var kernelStride: Int32 { Int32(stride) }
    var kernelWidth: Int32 { Int32(width) }
    /// Whether every row begins where 16 bytes can be read at once.
    var hasWholeVectors: Bool { address % 16 == 0 && stride * dtype.blockBytes % 16 == 0 }
}

// MARK: - Memory

extension CUDABackend {
    package func makeActivation(rows: Int, width: Int, role: ActivationRole) throws -> Activation<Storage> {
        let (count, overflow) = rows.multipliedReportingOverflow(by: width)
        guard !overflow, count <= Int.max / 8 else { throw MemoryError(byteCount: .max) }
        return try performThrowing {
            let storage = try Storage(count: count, dtype: role == .exact ? .f32 : operandType, on: stream)
            return Activation(storage: storage, rows: rows, width: width)
        }
    }

    package func write(_ values: [Float], to x: Activation<Storage>) {
        precondition(values.count == x.rows * x.width, "\(values.count) values for [\(x.rows), \(x.width)]")
        let bytes = x.dtype.blockBytes
        perform {
            let stored = host.narrowed(values, to: x.dtype)
            try stored.withUnsafeBytes { stored in
                for piece in pieces(of: x) {
                    let from = piece.element * bytes, count = piece.count * bytes
                    let address = x.address + UInt64(piece.place * bytes)
                    try staging.copy(UnsafeRawBufferPointer(rebasing: stored[from..<from + count]), to: address)
                }
            }
        }
    }

    package func read(_ x: Activation<Storage>) throws -> [Float] {
        let bytes = x.dtype.blockBytes
        return try performThrowing {
            let start = try arrivals.room(x.rows * x.width * bytes)
            for piece in pieces(of: x) {
                let address = x.address + UInt64(piece.place * bytes)
                try stream.copy(piece.count * bytes, from: address, to: start + piece.element * bytes)
            }
            try stream.synchronize()
            return host.widened(start, from: x.dtype, count: x.rows * x.width)
        }
    }

    /// Runs of elements that lie together: which they are of [rows, width], and where they are in memory.
    private func pieces(of x: Activation<Storage>) -> [(element: Int, place: Int, count: Int)] {
        guard x.stride != x.width, x.rows > 1 else { return [(0, 0, x.rows * x.width)] }
        return (0..<x.rows).map { ($0 * x.width, $0 * x.stride, x.width) }
    }
}
