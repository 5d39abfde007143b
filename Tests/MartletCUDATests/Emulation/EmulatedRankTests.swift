import CCUDA
import CUDAEmulation
import Foundation
import Testing

/// That NCCL's calls wait for each other as the library's do.
@Suite struct EmulatedRankTests {
    /// Runs `body` once a rank, each on a thread of its own with its device, communicator and stream.
    private func together(
        _ count: Int, seed: UInt64, on device: EmulatedDevice,
        _ body: @escaping @Sendable (_ rank: Int, ncclComm_t, CUstream) -> [Float]
    ) async throws -> [[Float]] {
        var id = ncclUniqueId()
        #expect(device.cuda.nccl.ncclGetUniqueId(&id) == ncclSuccess)
        let cuda = device.cuda, shared = id
        nonisolated(unsafe) let contexts = device.contexts
        return await withTaskGroup(of: (Int, [Float]).self) { group in
            for rank in 0..<count {
                group.addTask {
                    let result = await onThread {
                        var communicator: ncclComm_t?, stream: CUstream?
                        #expect(cuda.driver.cuCtxSetCurrent(contexts[rank]) == CUDA_SUCCESS)
                        #expect(cuda.driver.cuStreamCreate(&stream, 1) == CUDA_SUCCESS)
                        let made = cuda.nccl.ncclCommInitRank(&communicator, Int32(count), shared, Int32(rank))
                        #expect(made == ncclSuccess)
                        guard let communicator, let stream else { return [] }
                        let result = body(rank, communicator, stream)
                        #expect(cuda.nccl.ncclCommDestroy(communicator) == ncclSuccess)
                        #expect(cuda.driver.cuStreamDestroy(stream) == CUDA_SUCCESS)
                        return result
                    }
                    return (rank, result)
                }
            }
            var results = [[Float]](repeating: [], count: count)
            for await (rank, result) in group { results[rank] = result }
            return results
        }
    }

    @Test(arguments: [1, 2, 4]) func sumsAreOfAllRanks(_ count: Int) async throws {
        let device = try EmulatedDevice { $0.device_count = Int32(count) }
        let cuda = device.cuda
        let results = try await together(count, seed: 1, on: device) { rank, communicator, stream in
            let x = upload([Float(rank + 1), 10], cuda, stream)
            for _ in 0..<2 {
                let place = devicePointer(x)
                let put = cuda.nccl.ncclAllReduce(place, place, 2, ncclFloat32, ncclSum, communicator, stream)
                #expect(put == ncclSuccess)
            }
            return take(2, x, cuda, stream)
        }
        let sum = Float(count * (count + 1) / 2 * count), tens = Float(10 * count * count)
        #expect(results == [[Float]](repeating: [sum, tens], count: count))
        #expect(device.close() == [])
    }

    @Test func ranksSendToEachOtherInAGroup() async throws {
        let device = try EmulatedDevice { $0.device_count = 2 }
        let cuda = device.cuda
        let results = try await together(2, seed: 1, on: device) { rank, communicator, stream in
            let x = upload([Float(rank)], cuda, stream), y = upload([Float(-1)], cuda, stream)
            let nccl = cuda.nccl, peer = Int32(1 - rank)
            _ = nccl.ncclGroupStart()
            _ = nccl.ncclSend(devicePointer(x), 1, ncclFloat32, peer, communicator, stream)
            _ = nccl.ncclRecv(devicePointer(y), 1, ncclFloat32, peer, communicator, stream)
            #expect(nccl.ncclGroupEnd() == ncclSuccess)
            let result = take(1, y, cuda, stream)
            #expect(cuda.driver.cuMemFree(x) == CUDA_SUCCESS)
            return result
        }
        #expect(results == [[1], [0]])
        #expect(device.close() == [])
    }

    @Test func twoRanksOnOneDeviceAreRefused() throws {
        let device = try EmulatedDevice()
        var id = ncclUniqueId(), first: ncclComm_t?, second: ncclComm_t?
        let nccl = device.cuda.nccl
        _ = nccl.ncclGetUniqueId(&id)
        _ = nccl.ncclGroupStart()
        _ = nccl.ncclCommInitRank(&first, 2, id, 0)
        _ = nccl.ncclCommInitRank(&second, 2, id, 1)
        #expect(nccl.ncclGroupEnd() == ncclInvalidUsage)
        for communicator in [first, second] { _ = nccl.ncclCommAbort(try #require(communicator)) }
        #expect(device.close() == [])
    }

    @Test func aRankThatNobodyMeetsLosesPatience() throws {
        let device = try EmulatedDevice {
            $0.device_count = 2
            $0.patience_seconds = 0.1
        }
        var id = ncclUniqueId(), communicator: ncclComm_t?
        let nccl = device.cuda.nccl
        _ = nccl.ncclGetUniqueId(&id)
        #expect(nccl.ncclCommInitRank(&communicator, 2, id, 0) == ncclSystemError)
        #expect(device.close() == ["a rank waits for others to make a communicator"])
    }
}

private func upload(_ values: [Float], _ cuda: martlet_cuda, _ stream: CUstream) -> CUdeviceptr {
    var address = CUdeviceptr()
    #expect(cuda.driver.cuMemAlloc(&address, values.count * 4) == CUDA_SUCCESS)
    #expect(cuda.driver.cuMemcpyHtoDAsync(address, values, values.count * 4, stream) == CUDA_SUCCESS)
    return address
}

/// The values there, whose memory is then given back.
private func take(_ count: Int, _ address: CUdeviceptr, _ cuda: martlet_cuda, _ stream: CUstream) -> [Float] {
    var values = [Float](repeating: 0, count: count)
    #expect(cuda.driver.cuMemcpyDtoHAsync(&values, address, count * 4, stream) == CUDA_SUCCESS)
    #expect(cuda.driver.cuMemFree(address) == CUDA_SUCCESS)
    return values
}

/// On a thread that may wait: the pool's few may not.
private func onThread(_ body: @escaping @Sendable () -> [Float]) async -> [Float] {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}
