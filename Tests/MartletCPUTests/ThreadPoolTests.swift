@testable import MartletCPU
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#endif

struct ThreadPoolTests {
    @Test(arguments: 1...5)
    func `every chunk runs once, region after region`(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        var counts = [Int](repeating: 0, count: 64)
        for region in 0..<2000 {
            let count = region % 64
            counts.withUnsafeMutableBufferPointer { counts in
                nonisolated(unsafe) let counts = counts
                pool.parallel(count) { counts[$0] += 1 }
            }
        }
        // Region r runs chunks below r % 64: chunk c runs in the regions whose remainder is above it.
        #expect(counts == (0..<64).map { chunk in (0..<2000).filter { $0 % 64 > chunk }.count })
    }

    @Test func `threads that slept wake, and a pool ends while they sleep`() {
        for _ in 0..<20 {
            let pool = ThreadPool(threadCount: 3)
            for _ in 0..<3 {
                usleep(1000)
                let total = Atomic<Int>(0)
                pool.parallel(100) { _ = total.wrappingAdd($0, ordering: .relaxed) }
                #expect(total.load(ordering: .relaxed) == 4950)
            }
        }
    }

    @Test func `idle threads sleep`() {
        let pool = ThreadPool(threadCount: 4)
        pool.parallel(8) { _ in }
        for _ in 0..<5000 where pool.sleepingThreadCount < 3 { usleep(1000) }
        #expect(pool.sleepingThreadCount == 3)
    }

    @Test func `grains cover the range in order`() {
        let pool = ThreadPool(threadCount: 2)
        let seen = Mutex<[Range<Int>]>([])
        pool.parallel(10, grain: 4) { range in seen.withLock { $0.append(range) } }
        #expect(seen.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } } == [0..<4, 4..<8, 8..<10])
        pool.parallel(0, grain: 4) { _ in Issue.record("a chunk of nothing") }
    }

    @Test(arguments: 1...5, [1, 3, 8])
    func `shares cover the range, each part once`(threads: Int, grain: Int) {
        let pool = ThreadPool(threadCount: threads)
        for count in 0..<200 {
            let seen = Mutex<[Range<Int>]>([])
            pool.parallel(sharing: count, grain: grain) { range in seen.withLock { $0.append(range) } }
            let ranges = seen.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
            #expect(ranges.flatMap { Array($0) } == Array(0..<count))
            #expect(threads == 1 || ranges.allSatisfy { $0.count <= grain })
        }
    }

    /// One thread is held up in the first range that it takes of its share: the others do the rest of it.
    @Test func `who is done helps the others`() {
        let pool = ThreadPool(threadCount: 3), doneCount = Atomic<Int>(0), isHeld = Atomic<Bool>(false)
        pool.parallel(sharing: 300, grain: 2) { range in
            if !isHeld.exchange(true, ordering: .sequentiallyConsistent) {
                for _ in 0..<600_000 where doneCount.load(ordering: .sequentiallyConsistent) < 298 { usleep(100) }
                #expect(doneCount.load(ordering: .sequentiallyConsistent) == 298)
            }
            doneCount.add(range.count, ordering: .sequentiallyConsistent)
        }
        #expect(doneCount.load(ordering: .sequentiallyConsistent) == 300)
    }

    @Test func `the processors allowed are the smaller of mask and quota`() {
        #expect(ThreadPool.defaultThreadCount() >= 1)
        #expect(ThreadPool.wholeCPUs(cpuMax: "max 100000\n") == nil)
        #expect(ThreadPool.wholeCPUs(cpuMax: "250000 100000\n") == 2)
        #expect(ThreadPool.wholeCPUs(cpuMax: "50000 100000") == 1)
        #expect(ThreadPool.wholeCPUs(cpuMax: "-1 100000") == nil)
        #expect(ThreadPool.wholeCPUs(cpuMax: "") == nil)
    }
}
