import CCUDA
import MartletTestSupport
import Testing

/// Rows of some sequences and the paged cache that they attend to, for the device's kernels and for the scalar one.
/// Slots that no row may read hold NaN, and so does what lies between rows.
struct PagedKernelScene {
    struct Heads: Sendable {
        var query: Int
        var keyValue: Int
        var dimension: Int
        var group: Int { query / keyValue }
    }
    /// Rows of one sequence that stand behind `start` positions of it.
    struct Rows: Sendable {
        var start: Int
        var count: Int
    }

    let heads: Heads
    let operand, cache: KernelElement
    let blockSize: Int
    let sequences: [Rows]
    /// [rows, query heads * dimension].
    var queries: [Float]
    /// Of each sequence [positions, key/value heads, dimension]; for bytes without their scales.
    var keys, values: [[Float]]
    /// [positions, key/value heads]; ones unless the cache is of bytes.
    var keyScales, valueScales: [[Float]]
    private let seed: UInt64

    var queryWidth: Int { heads.query * heads.dimension }
    private var rowCount: Int { sequences.reduce(0) { $0 + $1.count } }
    private var scale: Float { 1 / Float(heads.dimension).squareRoot() }
    private static let padding = 8

    init(
        heads: Heads, operand: KernelElement, cache: KernelElement, blockSize: Int = 16, sequences: [Rows],
        seed: UInt64 = 1
    ) {
        (self.heads, self.operand, self.cache) = (heads, operand, cache)
        (self.blockSize, self.sequences, self.seed) = (blockSize, sequences, seed)
        var generator = SeededGenerator(seed: seed)
        let rowCount = sequences.reduce(0) { $0 + $1.count }
        queries = operand.rounded(generator.floats(rowCount * heads.query * heads.dimension, in: -2...2))
        let isBytes = cache == .i8, magnitude: Float = isBytes ? 127 : 2
        func stored(_ sequence: Rows) -> [Float] {
            let count = (sequence.start + sequence.count) * heads.keyValue * heads.dimension
            return cache.rounded(generator.floats(count, in: -magnitude...magnitude))
        }
        func scales(_ sequence: Rows) -> [Float] {
            generator.floats((sequence.start + sequence.count) * heads.keyValue, in: -0.007...0.007)
                .map { isBytes ? abs($0) + 0.008 : 1 }
        }
        keys = sequences.map(stored)
        values = sequences.map(stored)
        keyScales = sequences.map(scales)
        valueScales = sequences.map(scales)
    }

    // MARK: Truth

    /// The scalar kernel's, on what the cache holds; [rows, query heads * dimension].
    func truth() throws -> [Float] {
        var result = [Float](repeating: .nan, count: rowCount * queryWidth)
        let width = heads.group * heads.dimension
        var row = 0
        for (index, sequence) in sequences.enumerated() {
            for head in 0..<heads.keyValue {
                let output = try ScalarAttention(
                    queries: queries, query: row * queryWidth + head * width, queryStride: queryWidth,
                    rows: sequence.count, heads: heads.group, dimension: heads.dimension,
                    positions: sequence.start + 1, isCausal: true,
                    keys: dequantized(keys[index], keyScales[index], head: head),
                    values: dequantized(values[index], valueScales[index], head: head), stride: heads.dimension
                ).output()
                for i in 0..<sequence.count {
                    let first = (row + i) * queryWidth + head * width
                    result.replaceSubrange(first..<first + width, with: output[i * width..<(i + 1) * width])
                }
            }
            row += sequence.count
        }
        return result
    }

    /// [positions, dimension] of one head.
    private func dequantized(_ stored: [Float], _ scales: [Float], head: Int) -> [Float] {
        scales.indices.filter { $0 % heads.keyValue == head }.flatMap { row in
            stored[row * heads.dimension..<(row + 1) * heads.dimension].map { $0 * scales[row] }
        }
    }

    // MARK: Device

    enum Kernel: Sendable {
        /// On tensor cores, tiles of at most 16 or 64 queries.
        case tensorCores(Int)
        case plain
    }

    /// What a kernel makes of it, the context cut into `splits`.
    func run(_ kernel: Kernel, splits: Int, on device: EmulatedDevice) throws -> [Float] {
        let places = switch kernel { case .tensorCores(let most): most; case .plain: 16 }
        let layout = layOut(places: places)
        let stride = queryWidth + 2 * heads.keyValue * heads.dimension + Self.padding
        let fused = device.upload(operand.bytes(of: padded(queries, to: stride)))
        let caches = [(keys, keyScales), (values, valueScales)].map { stored, scales in
            device.upload(cacheBytes(stored, layout))
        }
        let scales = [keyScales, valueScales].map { device.upload(scaleRows($0, layout)) }
        let staged = [layout.tiles, layout.rowPosition, layout.tables].map { device.upload($0) }
        let yStride = queryWidth + Self.padding, size = rowCount * yStride
        let y = device.upload([UInt8](repeating: 0xFF, count: size * operand.byteCount))
        let tiles = layout.tiles.count / 4
        let partial = device.allocate(tiles * heads.keyValue * splits * places * (heads.dimension + 2) * 4)
        let headBytes = UInt64(heads.keyValue * blockSize * heads.dimension * cache.byteCount)
        let scaleBytes = UInt64(heads.keyValue * blockSize * 4)
        var arguments: [any BitwiseCopyable] = [fused, Int32(stride), Int32(heads.query), Int32(heads.keyValue)]
        if case .plain = kernel { arguments.append(Int32(heads.dimension)) }
        // Block 0 is the second one in memory.
        arguments += [caches[0] + headBytes, caches[1] + headBytes] as [any BitwiseCopyable]
        let isBytes = cache == .i8
        if case .plain = kernel, !isBytes { arguments += [CUdeviceptr(0), CUdeviceptr(0)] as [any BitwiseCopyable] }
        if isBytes { arguments += [scales[0] + scaleBytes, scales[1] + scaleBytes] as [any BitwiseCopyable] }
        arguments += [Int32(blockSize), staged[0], staged[1], staged[2], Int32(layout.width)] as [any BitwiseCopyable]
        arguments += [scale, y, Int32(yStride), partial] as [any BitwiseCopyable]
        switch kernel {
        case .plain:
            arguments.append(Int32(places))
            try device.run(
                "attention_plain_\(operand)_\(cache)", of: "attention_plain.cu", grid: (tiles, heads.query, splits),
                threads: 128, arguments)
        case .tensorCores:
            let name = "attention_\(operand)\(isBytes ? "_i8" : "")_\(heads.dimension)_\(places)"
            try device.run(
                name, of: isBytes ? "attention_bytes.cu" : "attention.cu", grid: (tiles, heads.keyValue, splits),
                threads: 128, arguments)
        }
        if splits > 1 {
            try device.run(
                "attention_combine_\(operand)", of: "attention.cu", grid: (tiles, heads.query, 1), threads: 128,
                [
                    staged[0], Int32(heads.query), Int32(heads.keyValue), Int32(heads.dimension), Int32(splits),
                    Int32(places), partial, y, Int32(yStride),
                ])
        }
        let rows = operand.values(of: device.download(size * operand.byteCount, of: UInt8(0), at: y))
        for address in [fused, y, partial] + caches + scales + staged { device.free(address) }
        return (0..<rowCount).flatMap { rows[$0 * yStride..<$0 * yStride + queryWidth] }
    }

    /// Where rows and blocks lie.
    private struct Layout {
        var tiles: [Int32] = []
        var rowPosition: [Int32] = []
        /// [sequences, width], -1 where there is no block.
        var tables: [Int32] = []
        var width = 0
        var blockCount = 0
    }

    private func layOut(places: Int) -> Layout {
        var layout = Layout()
        let needed = sequences.map { ($0.start + $0.count + blockSize - 1) / blockSize }
        layout.width = (needed.max() ?? 0) + 1
        layout.blockCount = needed.reduce(0, +) + 2
        var generator = SeededGenerator(seed: seed + 99)
        // Block -1 may be in use, too: a scratch block is.
        var free = (-1..<Int32(layout.blockCount) - 1).shuffled(using: &generator)
        var row = 0
        for (index, sequence) in sequences.enumerated() {
            layout.tables += (0..<needed[index]).map { _ in free.removeLast() }
            layout.tables += [Int32](repeating: -1, count: layout.width - needed[index])
            layout.rowPosition += (0..<sequence.count).map { Int32(sequence.start + $0) }
            let rows = max(1, places / heads.group)
            for first in stride(from: 0, to: sequence.count, by: rows) {
                layout.tiles += [Int32(row + first), Int32(min(rows, sequence.count - first)), Int32(index), 0]
            }
            row += sequence.count
        }
        // A tile of no rows is none.
        layout.tiles += [0, 0, 0, 0]
        return layout
    }

    /// The row of the whole cache, block -1 first, in which each position of a sequence has head 0.
    private func slots(_ sequence: Int, _ layout: Layout) -> [Int] {
        (0..<sequences[sequence].start + sequences[sequence].count).map { position in
            let block = layout.tables[sequence * layout.width + position / blockSize]
            return (Int(block) + 1) * heads.keyValue * blockSize + position % blockSize
        }
    }

    private func cacheBytes(_ stored: [[Float]], _ layout: Layout) -> [UInt8] {
        let rowBytes = heads.dimension * cache.byteCount
        var bytes = [UInt8](repeating: 0xFF, count: layout.blockCount * heads.keyValue * blockSize * rowBytes)
        for sequence in sequences.indices {
            let own = cache.bytes(of: stored[sequence])
            for (position, slot) in slots(sequence, layout).enumerated() {
                for head in 0..<heads.keyValue {
                    let source = (position * heads.keyValue + head) * rowBytes
                    let target = (slot + head * blockSize) * rowBytes
                    bytes.replaceSubrange(target..<target + rowBytes, with: own[source..<source + rowBytes])
                }
            }
        }
        return bytes
    }

    private func scaleRows(_ stored: [[Float]], _ layout: Layout) -> [Float] {
        var rows = [Float](repeating: .nan, count: layout.blockCount * heads.keyValue * blockSize)
        for sequence in sequences.indices {
            for (position, slot) in slots(sequence, layout).enumerated() {
                for head in 0..<heads.keyValue {
                    rows[slot + head * blockSize] = stored[sequence][position * heads.keyValue + head]
                }
            }
        }
        return rows
    }

    private func padded(_ values: [Float], to stride: Int) -> [Float] {
        (0..<rowCount).flatMap { row in
            values[row * queryWidth..<(row + 1) * queryWidth] + [Float](repeating: .nan, count: stride - queryWidth)
        }
    }
}
