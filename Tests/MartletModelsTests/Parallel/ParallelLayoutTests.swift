import MartletCPU
import MartletCore
import MartletTensor
import Testing

@testable import MartletModels

@Suite struct ParallelLayoutTests {
    static func smol() throws -> ModelConfiguration {
        let text = """
            {"architectures":["LlamaForCausalLM"],"model_type":"llama","dtype":"bfloat16","hidden_size":576,
             "intermediate_size":1536,"num_attention_heads":9,"num_key_value_heads":3,"head_dim":64,
             "num_hidden_layers":30,"vocab_size":49152,"max_position_embeddings":8192,"rms_norm_eps":1e-5,
             "rope_theta":100000.0,"tie_word_embeddings":true,"hidden_act":"silu","eos_token_id":2}
            """
        return try ModelConfiguration(config: try JSONParser.parse(text), generation: nil, file: "config.json")
    }

    /// AutoGLM-Phone-9B (MODEL.md 1.1, 2).
    static func nine() throws -> ModelConfiguration {
        let text = """
            {"architectures":["Glm4vForConditionalGeneration"],"model_type":"glm4v","dtype":"bfloat16",
             "tie_word_embeddings":false,
             "text_config":{"model_type":"glm4v_text","hidden_size":4096,"num_hidden_layers":40,
              "num_attention_heads":32,"num_key_value_heads":2,"intermediate_size":13696,"vocab_size":151552,
              "max_position_embeddings":65536,"rms_norm_eps":1e-5,"attention_bias":true,
              "rope_parameters":{"rope_type":"default","rope_theta":10000,"partial_rotary_factor":0.5,
               "mrope_section":[8,12,12]}},
             "vision_config":{"model_type":"glm4v_vision","depth":24,"hidden_size":1536,"num_heads":12,
              "image_size":336,"patch_size":14,"spatial_merge_size":2,"temporal_patch_size":2,
              "out_hidden_size":4096,"intermediate_size":13696,"rms_norm_eps":1e-5,"attention_bias":false}}
            """
        return try ModelConfiguration(config: try JSONParser.parse(text), generation: nil, file: "config.json")
    }

    private func layout(
        _ configuration: ModelConfiguration, tp: Int = 1, pp: Int = 1, dp: Int = 1, partition: [Int]? = nil,
        mode: TowerMode = .weights, storage: WeightStorage = WeightStorage()
    ) throws -> ParallelLayout {
        try ParallelLayout(
            configuration,
            size: ParallelSize(tensor: tp, pipeline: pp, data: dp, layerPartition: partition, towerMode: mode),
            storage: storage)
    }

    private func refusal(_ body: () throws -> ParallelLayout) -> ParallelError? {
        do { _ = try body() } catch { return error as? ParallelError }
        return nil
    }

    @Test func cutsTheNineBillionInTwo() throws {
        let shards = try layout(Self.nine(), tp: 2).shards
        #expect(shards.map(\.queryHeads) == [0..<16, 16..<32])
        #expect(shards.map(\.keyValueHeads) == [0..<1, 1..<2])
        // 428 units of 32, and 9,472 of 16.
        #expect(shards.map(\.intermediate) == [0..<6848, 6848..<13696])
        #expect(shards.map(\.vocabulary) == [0..<75776, 75776..<151552])
        #expect(shards.map { $0.tower?.heads } == [0..<6, 6..<12])
        #expect(shards.map { $0.tower?.inner } == [0..<2048, 2048..<4096])
        #expect(shards.map { $0.tower?.mergerInner } == [0..<6848, 6848..<13696])
        #expect(shards.allSatisfy { $0.layers == 0..<40 && $0.isFirstStage && $0.isLastStage })
    }

    @Test func copiesKeyValueHeads() throws {
        let shards = try layout(Self.nine(), tp: 8, mode: .data).shards
        #expect(shards.map(\.keyValueHeads.lowerBound) == [0, 0, 0, 0, 1, 1, 1, 1])
        #expect(shards.map(\.queryHeads).last == 28..<32)
        #expect(shards.allSatisfy { $0.tower?.heads == 0..<12 && $0.heads.keyValueCount == 1 })
        // 428 = 8 x 53 + 4: the first four have a unit more.
        #expect(shards.map(\.intermediate.count) == [1728, 1728, 1728, 1728, 1696, 1696, 1696, 1696])
        #expect(shards.last?.intermediate.upperBound == 13696)
    }

    @Test func slicesByName() throws {
        let shard = try layout(Self.nine(), tp: 2).shard(ofRank: 1)
        func slices(_ name: String, _ shape: [Int]) -> [MatrixSlice] {
            shard.slices(of: TensorInfo(name: name, dtype: .bf16, shape: shape))
        }
        func slice(_ name: String, _ rows: Range<Int>, _ columns: Range<Int>) -> MatrixSlice {
            MatrixSlice(name: name, rows: rows, columns: columns)
        }
        let layer = "model.language_model.layers.7."
        let gate = layer + "mlp.gate_up_proj.weight", down = layer + "mlp.down_proj.weight"
        #expect(
            slices(gate, [27392, 4096])
                == [slice(gate, 6848..<13696, 0..<4096), slice(gate, 20544..<27392, 0..<4096)])
        #expect(slices(down, [4096, 13696]) == [slice(down, 0..<4096, 6848..<13696)])
        let key = layer + "self_attn.k_proj.bias", output = layer + "self_attn.o_proj.weight"
        #expect(slices(key, [256]) == [slice(key, 128..<256, 0..<1)])
        #expect(slices(output, [4096, 4096]) == [slice(output, 0..<4096, 2048..<4096)])
        let norm = layer + "input_layernorm.weight"
        #expect(slices(norm, [4096]) == [slice(norm, 0..<4096, 0..<1)])
        let fused = "model.visual.blocks.3.attn.qkv.weight"
        #expect(
            slices(fused, [4608, 1536])
                == [768..<1536, 2304..<3072, 3840..<4608].map { slice(fused, $0, 0..<1536) })
        let merger = "model.visual.merger.down_proj.weight"
        #expect(slices(merger, [4096, 13696]) == [slice(merger, 0..<4096, 6848..<13696)])
        let projection = "model.visual.merger.proj.weight"
        #expect(slices(projection, [4096, 4096]) == [slice(projection, 0..<4096, 0..<4096)])
        #expect(slices("lm_head.weight", [151552, 4096]) == [slice("lm_head.weight", 75776..<151552, 0..<4096)])
    }

    /// What is cut is held once over all ranks; what is not is held by each.
    @Test(arguments: [1, 2, 4], [TowerMode.weights, .data])
    func theShardsAreTheModel(tp: Int, mode: TowerMode) throws {
        for configuration in [try Self.nine(), try TinyModel().configuration] {
            if tp == 4, mode == .weights, configuration.vision?.headCount == 2 { continue }
            for pp in [1, 2] {
                let layout = try layout(configuration, tp: tp, pp: pp, mode: mode)
                for info in configuration.tensors {
                    var rows = [Int](repeating: 0, count: info.rows), columns = [Int](repeating: 0, count: info.columns)
                    var held = 0
                    for slice in layout.shards.flatMap({ $0.slices(of: info) }) {
                        held += slice.elementCount
                        for row in slice.rows { rows[row] += 1 }
                        for column in slice.columns { columns[column] += 1 }
                    }
                    #expect(rows.allSatisfy { $0 > 0 } && columns.allSatisfy { $0 > 0 }, "\(info.name)")
                    let isCopied = info.name.contains("k_proj") || info.name.contains("v_proj")
                    let copies =
                        isCopied ? max(1, tp / configuration.decoder.heads.keyValueCount)
                        : held == info.elementCount ? 1 : tp
                    #expect(held == copies * info.elementCount, "\(info.name)")
                }
            }
        }
    }

    @Test func refusesWhatDoesNotDivide() throws {
        let smol = try Self.smol()
        let error = try #require(refusal { try layout(smol, tp: 2) })
        #expect(error.sizes == [1, 3, 9])
        #expect(
            "\(error)" == "--tensor-parallel-size 2 does not suit this model: its 9 query and 3 key/value heads cannot"
                + " be shared out evenly over 2 ranks. Sizes that work: 1, 3 and 9.")
        #expect(try layout(smol, tp: 3).shards.map(\.intermediate.count) == [512, 512, 512])
        // Two heads of 16 columns: not whole blocks of 32, and no more than two ranks.
        let tiny = try TinyModel().configuration
        #expect(refusal { try layout(tiny, tp: 4) }?.sizes == [1, 2])
        #expect(refusal { try layout(tiny, tp: 4) }?.reason.contains("--mm-encoder-tp-mode data") == true)
        #expect(refusal { try layout(tiny, tp: 2, storage: WeightStorage(quantization: .int8)) }?.sizes == [1])
        #expect(try layout(tiny, tp: 4, mode: .data).shards.map(\.intermediate.count) == [64, 64, 32, 32])
        #expect(refusal { try layout(tiny, pp: 3) }?.sizes == [1, 2])
        #expect("\(try #require(refusal { try layout(smol, pp: 31) }))".hasSuffix("Sizes that work: 1 to 30."))
        for size in [0, -1, 1025, .max] { #expect(refusal { try layout(smol, tp: size) } != nil) }
        for (partition, pp) in [([20, 9], 2), ([10, 10, 10], 2), ([30, 0], 2), ([31, -1], 2), ([Int.max, 1], 2)] {
            #expect(refusal { try layout(smol, pp: pp, partition: partition) }?.flag == "--pipeline-layer-partition")
        }
    }

    /// K-quants: heads and units of the MLP are blocks of 256.
    @Test func cutsAtWholeBlocks() throws {
        var configuration = try Self.nine()
        configuration.dtype = .q4_K
        // 13,696 columns are no blocks of 256, so files have blocks of 32 there.
        #expect(try layout(configuration, tp: 2, mode: .data).shards[0].intermediate == 0..<6848)
        #expect(refusal { try layout(configuration, tp: 32, mode: .data) }?.sizes == [1, 2, 4, 8, 16])
        configuration.decoder.intermediateSize = 256 * 5
        #expect(try layout(configuration, tp: 2, mode: .data).shards.map(\.intermediate) == [0..<768, 768..<1280])
    }

    @Test func stagesAreBalanced() throws {
        let nine = try Self.nine()
        // The head is worth 3.07 layers, of which half count.
        #expect(try layout(nine, pp: 2).stages == [0..<21, 21..<40])
        #expect(try layout(nine, pp: 2, partition: [18, 22]).stages == [0..<18, 18..<40])
        // 28.3 million parameters of the tied head are 8 layers of 3.54 million.
        #expect(try layout(Self.smol(), pp: 2).stages == [0..<17, 17..<30])
        #expect(try layout(TinyModel().configuration, pp: 2).stages == [0..<1, 1..<2])
        let shards = try layout(nine, tp: 2, pp: 2, dp: 2).shards
        #expect(shards.map(\.stage) == [0, 0, 1, 1])
        #expect(shards.map { $0.tower != nil } == [true, true, false, false])
        let whole = try layout(nine, tp: 2, pp: 2, dp: 2)
        #expect(whole.shard(ofRank: 7) == shards[3])
        #expect((0..<8).map(whole.replica(ofRank:)) == [0, 0, 0, 0, 1, 1, 1, 1])
    }

    /// A tied embedding is one copy where embedding and head are on one stage, and two where they are not.
    @Test func tiedHeadsAreWhereTheyAreNeeded() throws {
        let smol = try Self.smol()
        let info = try #require(smol.tensors.first { $0.name == TensorName.embedding })
        #expect(try layout(smol, pp: 3).shards.map { $0.slices(of: info).count } == [1, 0, 1])
        #expect(try layout(smol).shards.map { $0.slices(of: info).count } == [1])
    }
}
