import CMartletKernels
import Testing

@testable import MartletCPU

struct KernelTableTests {
    /// A table is a name and pointers to functions: one that was forgotten would be a crash at its first use.
    @Test(arguments: CPUKernels.available)
    func `a table leaves no function out`(isa: String) throws {
        let table = try CPUKernels(isa: isa).table
        let count = MemoryLayout<martlet_kernel_table>.size / MemoryLayout<UnsafeRawPointer?>.size
        let fields = UnsafeRawPointer(table).assumingMemoryBound(to: UnsafeRawPointer?.self)
        for index in 0..<count { #expect(fields[index] != nil, "field \(index)") }
    }
}
