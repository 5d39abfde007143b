import CMartletKernels
@testable import MartletCPU
import MartletTensor
import MartletTestSupport
import Testing

/// Plain types to f32 and back.
struct ConversionTests {
    private func widen(_ dtype: DType, _ halves: [UInt16], _ isa: String) throws -> [Float] {
        let kernels = try CPUKernels(isa: isa)
        var values = [Float](repeating: 0, count: halves.count)
        kernels.table.pointee.widen(dtype.kernelType, halves, &values, halves.count)
        return values
    }

    private func narrow(_ dtype: DType, _ values: [Float], _ isa: String) throws -> (halves: [UInt16], fit: Bool) {
        let kernels = try CPUKernels(isa: isa)
        var halves = [UInt16](repeating: 0, count: values.count)
        let fit = kernels.table.pointee.narrow(dtype.kernelType, values, &halves, values.count)
        return (halves, fit)
    }

    @Test(arguments: CPUKernels.available)
    func `every half widens to its value`(isa: String) throws {
        let all = (0...UInt16.max).map { $0 }
        let values = try widen(.f16, all, isa)
        for (bits, value) in zip(all, values) {
            let half = Float16(bitPattern: bits)
            if half.isNaN ? !value.isNaN : value.bitPattern != Float(half).bitPattern {
                Issue.record("\(bits) widens to \(value)")
            }
        }
        #expect(bits(try widen(.bf16, all, isa)) == all.map { UInt32($0) << 16 })
    }

    @Test(arguments: CPUKernels.available)
    func `f32 narrows to the nearest, ties to even`(isa: String) throws {
        // Every half, the points between two halves, and their neighbours.
        let halves: [Float] = (0..<UInt16(0x7C00)).map { Float(Float16(bitPattern: $0)) }
        var values: [Float] = [65519.996, 0x1p-25, 0x1.000002p-25, 0x1p-149, -0.0]
        for (low, high) in zip(halves, halves.dropFirst()) {
            let middle = (low + high) / 2
            values += [low, middle.nextDown, middle, middle.nextUp, -middle]
        }
        let (found, fit) = try narrow(.f16, values, isa)
        #expect(fit)
        let wrong = zip(values, found).first { Float16($0).bitPattern != $1 }
        #expect(wrong == nil)
    }

    @Test(arguments: CPUKernels.available)
    func `only a finite value that becomes infinite does not fit`(isa: String) throws {
        for (value, fits) in [(Float(65520), false), (-7e4, false), (.infinity, true), (.nan, true), (65519, true)] {
            for position in [0, 7, 8, 10] {
                var values = [Float](repeating: 1, count: 11)
                values[position] = value
                let (found, fit) = try narrow(.f16, values, isa)
                #expect(fit == fits, "\(value) at \(position)")
                #expect(Float16(bitPattern: found[position]).isNaN == value.isNaN)
            }
        }
        #expect(try narrow(.bf16, [.greatestFiniteMagnitude], isa).fit == false)
        #expect(try narrow(.bf16, [.infinity, .nan], isa).fit)
        // 1 + 2^-8 and 1 + 3 * 2^-8 lie between two: to even, down and up.
        #expect(try narrow(.bf16, [1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1.01p-8], isa).halves == [0x3F80, 0x3F82, 0x3F81])
    }

    @Test(arguments: CPUKernels.available.filter { $0 != "scalar" }, [DType.f16, .bf16])
    func `every instruction set converts as scalar does, NaNs too`(isa: String, dtype: DType) throws {
        var generator = SeededGenerator(seed: 1)
        let values = (0..<10_003).map { _ in Float(bitPattern: UInt32.random(in: .min ... .max, using: &generator)) }
        #expect(try narrow(dtype, values, isa).halves == narrow(dtype, values, "scalar").halves)
        let all = (0...UInt16.max).map { $0 }
        #expect(try bits(widen(dtype, all, isa)) == bits(widen(dtype, all, "scalar")))
    }

    @Test func `an instruction set that is not here is refused with what is`() throws {
        let error = #expect(throws: InstructionSetError.self) { try CPUKernels(isa: "vax") }
        #expect(error?.description.contains("scalar") == true)
        #expect(CPUKernels.available.last == "scalar")
        #expect(try CPUKernels(isa: "scalar").name == "scalar")
    }
}
