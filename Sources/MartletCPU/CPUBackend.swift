import CMartletKernels
import MartletCore
import MartletParallel
import MartletTensor

/// The model's operations on this machine's cores. Confined to one thread at a time; work inside an operation runs
/// on the pool, and every operation is done when it returns.
package final class CPUBackend: Backend {
    package let kernels: CPUKernels
    package let pool: ThreadPool
    package let activations: ActivationPrecision
    /// Whether panels of ready-packed files are copied into memory of huge pages; else they are used where they lie.
    package let copiesPanels: Bool
    /// The ranks that share every layer, as this one sees them.
    let communicator: any Communicator
    /// Activations as the multiply kernels read them, for one product at a time.
    let workspace: Storage
    /// By place; none where nothing could be chosen.
    var keptTokens: [Int: TokenID] = [:]

    /// `threads`: at least 1, nil for as many as the affinity mask and the cgroup's quota allow. `isa`: a table by
    /// name, nil for MARTLET_FORCE_ISA or the best. `workspaceCount`: in elements; 16 MiB unless told, 1024 rows of
    /// 4096 columns, resident as far as it is used. `processors`: where the pool's threads stay; empty = anywhere.
    /// Throws `InstructionSetError` or `MemoryError`.
    package init(
        threads: Int? = nil, isa: String? = nil, activations: ActivationPrecision = .f32,
        copiesPanels: Bool = false, workspaceCount: Int = 4 << 20, processors: [Int] = [],
        communicator: any Communicator = SoleCommunicator()
    ) throws {
        self.communicator = communicator
        self.copiesPanels = copiesPanels
        self.activations = activations
        kernels = try CPUKernels(isa: isa)
        pool = ThreadPool(threadCount: threads ?? ThreadPool.defaultThreadCount(), processors: processors)
        workspace = try Storage(count: workspaceCount)
    }

    /// Name and version of the order of bytes in the panels that this backend makes and multiplies with.
    package static let panelLayout = withUnsafeBytes(of: martlet_panel_layout) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Activations: f32, in memory of huge pages.
    package final class Storage {
        private let memory: HugeMemory
        /// In elements.
        package let count: Int

        init(count: Int) throws(MemoryError) {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
            guard count >= 0, !overflow else { throw MemoryError(byteCount: .max) }
            memory = try HugeMemory(byteCount: bytes)
            self.count = count
        }

        /// The first element; aligned to 64 bytes at least.
        package var start: UnsafeMutablePointer<Float> { memory.start.assumingMemoryBound(to: Float.self) }
    }

    /// A small f32 weight.
    package final class Vector {
        private let storage: Storage

        init(_ values: [Float]) throws(MemoryError) {
            storage = try Storage(count: values.count)
            for (index, value) in values.enumerated() { storage.start[index] = value }
        }

        package var count: Int { storage.count }
        package var start: UnsafePointer<Float> { UnsafePointer(storage.start) }
    }
}

extension Activation where Storage == CPUBackend.Storage {
    /// Row `row`, column 0.
    func row(_ row: Int) -> UnsafeMutablePointer<Float> { start + row * stride }

    /// Row 0, column 0. The storage must outlive the use: hold the activation.
    var start: UnsafeMutablePointer<Float> { storage.start + offset }
}

// MARK: - Memory

extension CPUBackend {
    package func makeActivation(rows: Int, width: Int, role: ActivationRole) throws -> Activation<Storage> {
        let (count, overflow) = rows.multipliedReportingOverflow(by: width)
        guard !overflow else { throw MemoryError(byteCount: .max) }
        return Activation(storage: try Storage(count: count), rows: rows, width: width)
    }

    package func write(_ values: [Float], to x: Activation<Storage>) {
        precondition(values.count == x.rows * x.width, "\(values.count) values for [\(x.rows), \(x.width)]")
        values.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return }
            for row in 0..<x.rows { x.row(row).update(from: base + row * x.width, count: x.width) }
        }
    }

    package func read(_ x: Activation<Storage>) -> [Float] {
        Array(unsafeUninitializedCapacity: x.rows * x.width) { target, count in
            count = x.rows * x.width
            guard let base = target.baseAddress else { return }
            for row in 0..<x.rows { (base + row * x.width).initialize(from: x.row(row), count: x.width) }
        }
    }
}
