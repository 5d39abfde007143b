import CCUDA
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

@Suite struct StagingTests {
    /// Memory is written again only once it was copied, however late the device is.
    @Test func nothingIsOvertaken() throws {
        let count = 64, width = 128
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            let staging = try Staging(on: gpu.stream, halfBytes: 1024)
            let rows = try DeviceValues([Int32](repeating: -1, count: count * width), on: gpu)
            for row in 0..<count {
                let values = [Int32](repeating: Int32(row), count: width)
                try staging.copy(values, to: rows.address + UInt64(row * width * 4))
            }
            let expected = (0..<count).flatMap { [Int32](repeating: Int32($0), count: width) }
            #expect(try rows.read() == expected)
        }
    }
}
