import CMartletKernels
import Testing

/// What the scalar kernel makes of rows of queries of some heads that share one key/value head, all in f32.
struct ScalarAttention {
    /// Rows `queryStride` apart, heads `dimension`, from `query` on.
    var queries: [Float]
    var query = 0
    var queryStride: Int
    var rows: Int
    var heads = 1
    var dimension: Int
    /// Positions that the first row attends to; one more each further row, if `isCausal`.
    var positions: Int
    var isCausal = false
    /// Rows of one head, `stride` apart, from `key` and `value` on.
    var keys, values: [Float]
    var key = 0, value = 0
    var stride: Int

    /// [rows, heads * dimension].
    func output() throws -> [Float] {
        let table = try #require(martlet_kernels("scalar"))
        let width = heads * dimension
        var result = [Float](repeating: .nan, count: rows * width)
        var scratch = [Float](repeating: 0, count: martlet_attention_scratch(dimension))
        result.withUnsafeMutableBufferPointer { result in
            queries.withUnsafeBufferPointer { queries in
                keys.withUnsafeBufferPointer { keys in
                    values.withUnsafeBufferPointer { values in
                        withUnsafePointer(to: Int32(0)) { block in
                            guard let output = result.baseAddress, let start = queries.baseAddress,
                                let keyStart = keys.baseAddress, let valueStart = values.baseAddress
                            else { return }
                            var attention = martlet_attention(
                                queries: start + query, query_stride: queryStride, output: output,
                                output_stride: width, rows: rows, heads: heads, dimension: dimension,
                                positions: positions, causal: isCausal, scale: 1 / Float(dimension).squareRoot(),
                                dtype: MARTLET_F32, keys: keyStart + key, values: valueStart + value, blocks: block,
                                block_size: positions + rows, block_bytes: 0, key_stride: stride,
                                key_dimension_stride: 1, value_stride: stride, key_scales: nil, value_scales: nil)
                            table.pointee.attention(&attention, &scratch)
                        }
                    }
                }
            }
        }
        return result
    }
}
