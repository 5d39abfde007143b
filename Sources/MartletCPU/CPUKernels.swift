import CMartletKernels
import MartletTensor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The table of kernels in use: the Swift face of CMartletKernels.
package struct CPUKernels {
    /// Where the functions are; each is documented in CMartletKernels.h.
    package let table: UnsafePointer<martlet_kernel_table>

    /// The table named, else the one that the environment variable MARTLET_FORCE_ISA names, else the best that this
    /// CPU runs. Throws `InstructionSetError` if there is none of that name here.
    package init(isa: String? = nil) throws(InstructionSetError) {
        let forced = isa ?? getenv("MARTLET_FORCE_ISA").map { String(cString: $0) }
        guard let table = martlet_kernels(forced) else {
            throw InstructionSetError(asked: forced ?? "", available: Self.available)
        }
        self.table = table
    }

    package var name: String { String(cString: table.pointee.name) }

    /// Names of the tables that can run here, best first.
    package static var available: [String] {
        (0...).lazy.map { martlet_kernels_name($0) }.prefix { $0 != nil }.compactMap { $0.map { String(cString: $0) } }
    }
}

/// An instruction set was asked for that this CPU, or this build, does not have.
package struct InstructionSetError: Error, Equatable, CustomStringConvertible {
    package let asked: String
    package let available: [String]

    package var description: String {
        "no kernels for instruction set \"\(asked)\" here; available: \(available.joined(separator: ", "))"
    }
}

extension DType {
    /// The same in C.
    var kernelType: martlet_dtype {
        switch self {
        case .f32: MARTLET_F32
        case .f16: MARTLET_F16
        case .bf16: MARTLET_BF16
        case .q4_0: MARTLET_Q4_0
        case .q4_1: MARTLET_Q4_1
        case .q5_0: MARTLET_Q5_0
        case .q5_1: MARTLET_Q5_1
        case .q8_0: MARTLET_Q8_0
        case .q4_K: MARTLET_Q4_K
        case .q5_K: MARTLET_Q5_K
        case .q6_K: MARTLET_Q6_K
        }
    }
}
