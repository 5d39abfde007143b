import MartletCPU
import MartletCore
import MartletTensor

/// What this machine reads and multiplies by itself, without a model around it: the roof under which the engine works.
struct KernelBench {
    let backend: CPUBackend
    /// Measurements, of which the median counts.
    let repeats: Int
    /// Time that each of them takes at least.
    let seconds: Double

    /// Bytes that are read in turn: more than caches hold.
    var spreadBytes = 256 << 20

    /// Bytes a second that all threads of the backend read from memory: the best run, since a limit is wanted. Throws
    /// `MemoryError`.
    func readSpeed() throws -> Double {
        let count = max(1, spreadBytes / MemoryLayout<Float>.stride)
        let memory = try backend.makeActivation(rows: 1, width: count)
        backend.write([Float](repeating: 1, count: count), to: memory)
        let reading = MemoryReading(memory)
        let speeds = measure(work: Double(reading.byteCount)) { reading.read(by: backend.pool) }
        return speeds.max() ?? 0
    }

    /// One product of `batch` rows of activations with matrices [rows, columns], one after the other. Throws
    /// `MemoryError`.
    func product(_ dtype: DType, rows: Int, columns: Int, batches: [Int]) throws -> [ProductSpeed] {
        let source = MadeUpWeights(dtype, rows: rows, columns: columns)
        var matrices = [try backend.loadMatrix([source.slice], from: source, dtype: nil)]
        let bytes = matrices[0].byteCount
        while matrices.count * bytes < spreadBytes {
            matrices.append(try backend.loadMatrix([source.slice], from: source, dtype: nil))
        }
        return try batches.map { batch in
            let x = try backend.makeActivation(rows: batch, width: columns)
            let y = try backend.makeActivation(rows: batch, width: rows)
            backend.write((0..<batch * columns).map { Float($0 &* 7919 % 1000) / 500 - 1 }, to: x)
            var next = 0
            let speeds = measure(work: 1) {
                backend.linear(x, matrices[next % matrices.count], bias: nil, into: y)
                next += 1
            }
            let perSecond = BenchCommand.median(speeds)
            return ProductSpeed(
                rows: rows, columns: columns, weights: dtype,
                activations: backend.precision(for: dtype, columns: columns), batch: batch,
                bytesPerSecond: perSecond * Double(bytes),
                operationsPerSecond: perSecond * 2 * Double(rows) * Double(columns) * Double(batch))
        }
    }

    /// `work` a second in each run: the body runs once to warm, then for `seconds` at a time.
    private func measure(work: Double, _ body: () -> Void) -> [Double] {
        body()
        return (0..<repeats).map { _ in
            let start = ContinuousClock.now
            var runs = 0.0
            var elapsed = 0.0
            repeat {
                body()
                runs += 1
                elapsed = (ContinuousClock.now - start).seconds
            } while elapsed < seconds
            return runs * work / elapsed
        }
    }
}

/// The speed of one product.
struct ProductSpeed: Equatable {
    var rows: Int
    var columns: Int
    var weights: DType
    var activations: ActivationPrecision
    /// Rows of activations.
    var batch: Int
    /// Of weights.
    var bytesPerSecond: Double
    /// Two for each weight and row of activations.
    var operationsPerSecond: Double

    var json: JSONValue {
        .object(
            JSONObject([
                ("rows", .integer(Int64(rows))), ("columns", .integer(Int64(columns))),
                ("weights", .string(weights.rawValue)), ("activations", .string(activations.rawValue)),
                ("batch", .integer(Int64(batch))), ("bytes_per_second", .number(bytesPerSecond)),
                ("operations_per_second", .number(operationsPerSecond)),
            ]))
    }
}
