import CCUDA
import CUDAEmulation
import Testing

/// That blocks, warps and tensor cores do on the host what CUDA and PTX say, and what they must never do is told.
@Suite struct EmulatedKernelTests {
    private static let orders = [MARTLET_EMULATION_FORWARD, MARTLET_EMULATION_BACKWARD]

    @Test func threadsOfAllBlocksRunOnce() throws {
        let device = try EmulatedDevice()
        let x = device.upload((0..<1000).map { Float($0) }), y = device.allocate(4000)
        #expect(device.launch("scale_f32", blocks: 4, threads: 256, x, Float(2), y, Int32(1000)) == CUDA_SUCCESS)
        #expect(device.download(1000, of: Float(0), at: y) == (0..<1000).map { Float($0) * 2 })
        device.free(x, y)
        #expect(device.close() == [])
    }

    @Test func halvesAreRoundedToTheNearestEven() throws {
        let device = try EmulatedDevice()
        let values: [Float] = [1, 1 + 0x1p-11, 1 + 0x3p-11, 65519, 65520, 0x1p-24, 0x1p-25, 0x1.8p-25, -.infinity]
        let x = device.upload(values), y = device.allocate(2 * values.count)
        #expect(device.launch("scale_f16", threads: 32, x, Float(1), y, Int32(values.count)) == CUDA_SUCCESS)
        #expect(
            device.download(values.count, of: UInt16(0), at: y)
                == [0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 1, 0, 1, 0xfc00])
        #expect(device.launch("scale_bf16", threads: 32, x, Float(1), y, Int32(values.count)) == CUDA_SUCCESS)
        #expect(device.download(1, of: UInt16(0), at: y) == [0x3f80])
        device.free(x, y)
        #expect(device.close() == [])
    }

    @Test func barriersOrderThreads() throws {
        for order in Self.orders {
            let device = try EmulatedDevice { $0.order = order }
            let x = device.upload((0..<512).map { Float($0) }), y = device.allocate(2048)
            #expect(device.launch("reverse", blocks: 2, threads: 256, x, y) == CUDA_SUCCESS)
            let reversed = Array((0..<256).reversed()) + Array((256..<512).reversed())
            #expect(device.download(512, of: Float(0), at: y) == reversed.map { Float($0) })
            #expect(device.launch("reverse_without_barrier", blocks: 2, threads: 256, x, y) == CUDA_SUCCESS)
            #expect(device.download(512, of: Float(0), at: y).contains { $0.isNaN })
            device.free(x, y)
            #expect(device.close() == [])
        }
    }

    @Test func aBarrierThatNotAllReachEndsTheLaunch() throws {
        let device = try EmulatedDevice()
        let y = device.upload([Float(0)])
        #expect(device.launch("half_barrier", threads: 64, y) == CUDA_SUCCESS)
        #expect(device.driver.cuStreamSynchronize(device.stream) == CUDA_ERROR_LAUNCH_FAILED)
        #expect(device.driver.cuMemFree(y) == CUDA_ERROR_LAUNCH_FAILED, "a failed context stays so")
        let complaints = device.close()
        #expect(complaints.count == 1)
        #expect(complaints.first?.contains("half_barrier: block (0, 0, 0)") == true)
        #expect(complaints.first?.contains("32 of 64 threads wait at a barrier for ever") == true)
    }

    @Test func sharedMemoryBeginsAsNaNInEveryBlock() throws {
        let device = try EmulatedDevice()
        let y = device.allocate(32)
        #expect(device.launch("look", blocks: 4, threads: 32, shared: 16, y) == CUDA_SUCCESS)
        #expect(device.download(8, of: Float(0), at: y).allSatisfy { $0.isNaN })
        device.free(y)
        #expect(device.close() == [])
    }

    @Test func sharedMemoryHasAnEnd() throws {
        for index in [32, 20_000, 100_000] {
            let device = try EmulatedDevice()
            #expect(device.launch("write_beside", threads: 32, Int32(index)) == CUDA_SUCCESS)
            #expect(device.driver.cuStreamSynchronize(device.stream) != CUDA_SUCCESS)
            #expect(device.close().count == 1)
        }
    }

    @Test func lanesTalk() throws {
        for order in Self.orders {
            let device = try EmulatedDevice { $0.order = order }
            let x = device.upload((0..<64).map { Float($0) })
            let sums = device.allocate(256), votes = device.allocate(256), neighbours = device.allocate(256)
            #expect(device.launch("converse", threads: 64, x, sums, votes, neighbours) == CUDA_SUCCESS)
            let ofWarps: [Float] = [Float](repeating: 496, count: 32) + [Float](repeating: 1520, count: 32)
            #expect(device.download(64, of: Float(0), at: sums) == ofWarps)
            var everyThird: [UInt32] = [0, 0]
            for thread in stride(from: 0, to: 64, by: 3) { everyThird[thread / 32] |= 1 << UInt32(thread % 32) }
            let all = device.download(64, of: UInt32(0), at: votes)
            #expect(all.indices.allSatisfy { all[$0] == everyThird[$0 / 32] })
            for (thread, pair) in device.download(64, of: Int32(0), at: neighbours).enumerated() {
                let lane = thread % 32, down = lane + 5 < 32 ? lane + 5 : lane, up = lane >= 5 ? lane - 5 : lane
                #expect(pair == Int32(down * 100 + up))
            }
            device.free(x, sums, votes, neighbours)
            #expect(device.close() == [])
        }
    }

    /// Small integers, exact in both types and as sums.
    @Test(arguments: ["multiply_f16", "multiply_bf16"])
    func tensorCoresMultiply(_ name: String) throws {
        let device = try EmulatedDevice()
        let a: [Float] = (0..<256).map { Float(($0 * 7 + $0 / 16) % 11 - 5) }
        let b: [Float] = (0..<128).map { Float($0 * 5 % 13 - 6) }
        func narrowed(_ values: [Float]) -> [UInt16] {
            values.map { name == "multiply_bf16" ? UInt16($0.bitPattern >> 16) : Float16($0).bitPattern }
        }
        let left = device.upload(narrowed(a)), right = device.upload(narrowed(b)), d = device.allocate(512)
        #expect(device.launch(name, threads: 32, shared: 768, left, right, d) == CUDA_SUCCESS)
        var expected = [Float](repeating: 0, count: 128)
        for index in expected.indices {
            for k in 0..<16 { expected[index] += a[index / 8 * 16 + k] * b[index % 8 * 16 + k] }
        }
        #expect(device.download(128, of: Float(0), at: d) == expected)
        device.free(left, right, d)
        #expect(device.close() == [])
    }

    @Test func backgroundCopiesAreNotThereBeforeTheWait() throws {
        let device = try EmulatedDevice()
        let ones = [UInt16](repeating: 0x3c00, count: 256)
        let a = device.upload(ones), d = device.allocate(512)
        #expect(device.launch("multiply_without_wait", threads: 32, shared: 768, a, a, d) == CUDA_SUCCESS)
        #expect(device.download(128, of: Float(0), at: d).allSatisfy { $0.isNaN })
        device.free(a, d)
        #expect(device.close() == [])
    }

    @Test func sharedMemoryIsLimited() throws {
        let device = try EmulatedDevice()
        let y = device.allocate(32)
        #expect(device.launch("look", threads: 32, shared: 49153, y) == CUDA_ERROR_INVALID_VALUE)
        #expect(device.launch("look", threads: 32, shared: 49152, y) == CUDA_SUCCESS)
        let result = device.driver.cuStreamSynchronize(device.stream)
        #expect(result == CUDA_ERROR_LAUNCH_FAILED, "static memory adds to it")
        #expect(device.close().count == 1)
    }

    @Test func atomicsCount() throws {
        let device = try EmulatedDevice()
        let total = device.upload([UInt32(0)])
        #expect(device.launch("count", blocks: 10, threads: 256, total) == CUDA_SUCCESS)
        #expect(device.download(1, of: UInt32(0), at: total) == [2560])
        device.free(total)
        #expect(device.close() == [])
    }
}
