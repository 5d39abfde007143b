import MartletCPU
import MartletTensor
import Testing

@testable import MartletModels

@Suite struct RankFootprintTests {
    private func ranks(
        _ configuration: ModelConfiguration, _ size: ParallelSize, storage: WeightStorage = WeightStorage(),
        cacheType: DType = .bf16
    ) throws -> [RankFootprint] {
        let tensors = configuration.tensors
        return try ParallelLayout(configuration, size: size, storage: storage).shards.map {
            RankFootprint($0, of: configuration, tensors: tensors, storage: storage, cacheType: cacheType, rows: 512)
        }
    }

    @Test func countsTheNineBillion() throws {
        let nine = try ParallelLayoutTests.nine()
        let one = try ranks(nine, ParallelSize())[0]
        // MODEL.md 1.1: 10,292,777,472 parameters of 2 bytes, and 40 layers x 2 x 2 heads x 128 x 2 bytes.
        #expect(one.weightBytes == 2 * 10_292_777_472)
        #expect(one.cacheBytesPerToken == 40960)
        // 128 bytes and a scale a head.
        #expect(try ranks(nine, ParallelSize(), cacheType: .q8_0)[0].cacheBytesPerToken == 40 * 2 * 2 * 132)
        let eight = try ranks(nine, ParallelSize(), storage: WeightStorage(dtype: .q8_0))[0]
        #expect(eight.weightBytes * 100 / one.weightBytes == 53)
        // All but the embedding (151552 x 4096) and the tower (892,498,432).
        let read: Int = 10_292_777_472 - 892_498_432 - 151_552 * 4096
        #expect(one.readBytes == 2 * read)
        let two = try ranks(nine, ParallelSize(tensor: 2))
        #expect(two[0].weightBytes == two[1].weightBytes)
        #expect(two[0].cacheBytesPerToken == 20480)
        // Norms of the decoder: 40 x 4 + 1 rows of 4096. Of the tower: its 24 x 2 + 2 norms of 1536, the positions,
        // the patch embedding with its bias, the downsampling with its bias, the merger's projection and norm.
        let rows: [Int] = [50 * 1536, 576 * 1536, 1536 * 1176, 1536, 4096 * 6144, 4096, 4096 * 4096, 2 * 4096]
        let copied: Int = 161 * 4096 + rows.reduce(0, +)
        #expect(two[0].weightBytes == 10_292_777_472 + copied)
        let data = try ranks(nine, ParallelSize(tensor: 2, towerMode: .data))
        let halves: Int = 9_400_279_040 - 161 * 4096
        #expect(data[0].weightBytes == halves + 2 * (161 * 4096 + 892_498_432))
    }

    @Test func countsStages() throws {
        let nine = try ParallelLayoutTests.nine()
        let stages = try ranks(nine, ParallelSize(pipeline: 2, layerPartition: [18, 22]))
        let table: Int = 151_552 * 4096
        let layer: Int = (9_400_279_040 - 2 * table - 4096) / 40
        let first: Int = 18 * layer + table + 892_498_432, last: Int = 22 * layer + table + 4096
        #expect(stages.map(\.weightBytes) == [2 * first, 2 * last])
        #expect(stages[0].readBytes == 2 * 18 * layer)
        #expect(stages.map(\.cacheBytesPerToken) == [18 * 1024, 22 * 1024])
    }

    @Test func countsSmolLM2() throws {
        let smol = try ParallelLayoutTests.smol()
        // 134,515,008 parameters, of which the tied embedding is read as the head.
        let one = try ranks(smol, ParallelSize())[0]
        #expect(one.weightBytes == 2 * 134_515_008 && one.readBytes == one.weightBytes)
        #expect(one.cacheBytesPerToken == 30 * 2 * 3 * 64 * 2)
        let three = try ranks(smol, ParallelSize(tensor: 3))
        // 61 norms of 576 are on every rank.
        let sum: Int = 134_515_008 + 2 * 61 * 576
        #expect(three.reduce(0) { $0 + $1.weightBytes } == 2 * sum)
        // 3 heads of keys, each on three of nine ranks: a rank has its head of 64.
        let nine = try ranks(smol, ParallelSize(tensor: 9), cacheType: .q8_0)
        #expect(nine.allSatisfy { $0.cacheBytesPerToken == 30 * 2 * (64 + 4) })
    }

    /// Bytes that a backend holds of the shards are the plan's.
    @Test(arguments: [1, 2]) func countsWhatIsLoaded(tp: Int) throws {
        let tiny = try TinyModel()
        let backend = try CPUBackend(threads: 1)
        for storage in [WeightStorage(), WeightStorage(quantization: .int8)] {
            let size = ParallelSize(tensor: tp, towerMode: .data)
            let layout = try ParallelLayout(tiny.configuration, size: size, storage: storage)
            let planned = try ranks(tiny.configuration, size, storage: storage)
            for (shard, rank) in zip(layout.shards, planned) {
                var held = 0
                for info in tiny.configuration.tensors {
                    for slice in shard.slices(of: info) {
                        var slice = slice
                        slice.dtype = storage.quantization.target(of: info)
                        guard info.isMatrix else {
                            held += slice.elementCount * 4
                            continue
                        }
                        held += try backend.loadMatrix([slice], from: tiny.source, dtype: nil).byteCount
                    }
                }
                #expect(held == rank.weightBytes)
            }
        }
    }

    @Test func workspaceIsTheDecodersOwn() throws {
        let smol = try ParallelLayoutTests.smol()
        // Floats of 512 rows: three times 576, the angles of 64, q, k and v of 960, the attention's 576; gate, up and
        // their product of 1536; for 32 rows of them the last norm, what it is of, and the logits.
        let floats: Int = 512 * (3 * 576 + 64 + 960 + 576) + 512 * 3 * 1536 + 32 * (2 * 576 + 49152)
        #expect(try ranks(smol, ParallelSize())[0].workspaceBytes == 4 * floats)
        // A third of the attention and of the MLP; the residual stream and the logits are whole on every rank.
        let third: Int = 512 * (3 * 576 + 64 + 320 + 192) + 512 * 3 * 512 + 32 * (2 * 576 + 49152)
        #expect(try ranks(smol, ParallelSize(tensor: 3)).map(\.workspaceBytes) == [4 * third, 4 * third, 4 * third])
    }

    @Test func trafficOfATokenByHand() throws {
        let nine = try ParallelLayoutTests.nine()
        let layout = try ParallelLayout(nine, size: ParallelSize(tensor: 2))
        let traffic = ParallelTraffic(layout, decoder: nine.decoder)
        #expect(traffic.allReducesPerToken == 81)
        #expect(traffic.allReduceBytes == 16384 && traffic.sentBytesPerAllReduce == 16384)
        #expect(traffic.messagesPerAllReduce == 2)
        #expect(traffic.gatheredBytes == 4 * 75776)
        let square = try ParallelLayout(nine, size: ParallelSize(tensor: 4, pipeline: 2))
        let more = ParallelTraffic(square, decoder: nine.decoder)
        #expect(more.allReducesPerStage == [43, 38])
        // Three quarters of the row, out and in again.
        #expect(more.sentBytesPerAllReduce == 24576 && more.messagesPerAllReduce == 6)
        #expect(more.hopCount == 1 && more.hopBytes == 16384)
        let sole = ParallelTraffic(try ParallelLayout(nine, size: ParallelSize()), decoder: nine.decoder)
        #expect(sole.allReducesPerToken == 0 && sole.gatheredBytes == 0 && sole.hopCount == 0)
    }

    @Test func timeOfATokenByHand() throws {
        let nine = try ParallelLayoutTests.nine()
        func time(_ size: ParallelSize, link: Double?) throws -> DecodeTime {
            let layout = try ParallelLayout(nine, size: size)
            return DecodeTime(
                layout, traffic: ParallelTraffic(layout, decoder: nine.decoder), ranks: try ranks(nine, size),
                speeds: DeviceSpeeds(memory: 1e12, link: link, linkLatency: 5e-6))
        }
        let one = try time(ParallelSize(), link: 1e10)
        // 17.559 GB once, and 40,960 bytes a position.
        #expect(abs(one.seconds - 17.559044096e-3) < 1e-9 && one.linkSeconds == 0)
        #expect(abs(one.seconds(context: 1000) - one.seconds - 40.96e-6) < 1e-12)
        let two = try time(ParallelSize(tensor: 2), link: 1e10)
        // 162 messages of 5 us, 81 x 16 KiB, and the gather.
        let bytes: Double = 81 * 16384 + 4 * 75776
        let link: Double = 163 * 5e-6 + bytes / 1e10
        #expect(abs(two.linkSeconds - link) < 1e-12)
        #expect(try time(ParallelSize(tensor: 2), link: nil).linkSeconds == 0)
        // Stages follow each other: no faster for one token.
        #expect(abs(try time(ParallelSize(pipeline: 2), link: nil).seconds - one.seconds) < 1e-12)
    }
}
