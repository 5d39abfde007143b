import CMartletKernels
import MartletTensor

extension CPUKernels {
    /// `values` as bytes of a plain type, rounded to the nearest; what is too large becomes infinite.
    package func narrowed(_ values: [Float], to dtype: DType) -> [UInt8] {
        precondition(!dtype.isQuantized, "narrowed to \(dtype)")
        let count = values.count * dtype.blockBytes
        return [UInt8](unsafeUninitializedCapacity: count) { bytes, filled in
            filled = count
            if let base = bytes.baseAddress { _ = table.pointee.narrow(dtype.kernelType, values, base, values.count) }
        }
    }

    /// `count` values of a plain type at `stored`, exactly.
    package func widened(_ stored: UnsafeRawPointer, from dtype: DType, count: Int) -> [Float] {
        precondition(!dtype.isQuantized, "widened from \(dtype)")
        return [Float](unsafeUninitializedCapacity: count) { values, filled in
            filled = count
            if let base = values.baseAddress { table.pointee.widen(dtype.kernelType, stored, base, count) }
        }
    }
}
