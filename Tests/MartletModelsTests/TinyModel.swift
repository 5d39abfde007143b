import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import MartletVision
import Testing

@testable import MartletModels

/// The tiny checkpoint of MODEL.md 7.2: every path of the model, weights by the hash rule.
struct TinyModel: Sendable {
    let configuration: ModelConfiguration
    let source: any WeightSource
    var quantization = WeightQuantization.none
    /// Steps in flight, of a model in one stage.
    var depth = 1
    /// Of one rank; nil = all of it.
    var shard: Shard?
    /// All that there are, where it is one rank's.
    var ranks: LocalGroup?
    var progress = StepProgress()
    var loaded: @Sendable (Int) -> Void = { _ in }

    init(configuration: ModelConfiguration, source: any WeightSource, quantization: WeightQuantization = .none) {
        self.configuration = configuration
        self.source = source
        self.quantization = quantization
    }

    init() throws {
        let config = try JSONParser.parse(Self.config)
        configuration = try ModelConfiguration(config: config, generation: nil, file: "config.json")
        source = try DummyCheckpoint(tensors: configuration.tensors)
    }

    static let config = """
        {"architectures":["Glm4vForConditionalGeneration"],"model_type":"glm4v","dtype":"float32",
         "tie_word_embeddings":false,"image_token_id":303,"video_token_id":304,"image_start_token_id":299,
         "image_end_token_id":300,"video_start_token_id":301,"video_end_token_id":302,
         "text_config":{"model_type":"glm4v_text","vocab_size":320,"hidden_size":128,"intermediate_size":192,
          "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"hidden_act":"silu",
          "max_position_embeddings":4096,"rms_norm_eps":1e-5,"attention_bias":true,"attention_dropout":0.0,
          "pad_token_id":289,"eos_token_id":[289,296,298,308],
          "rope_parameters":{"rope_type":"default","rope_theta":10000.0,"partial_rotary_factor":0.5,
           "mrope_section":[2,3,3]}},
         "vision_config":{"model_type":"glm4v_vision","depth":2,"hidden_size":32,"num_heads":2,
          "attention_bias":false,"hidden_act":"silu","in_channels":3,"image_size":56,"patch_size":14,
          "spatial_merge_size":2,"temporal_patch_size":2,"out_hidden_size":128,"intermediate_size":192,
          "rms_norm_eps":1e-5}}
        """

    /// byte at (y, x, c) = (7x + 13y + 29c + (xy mod 11)) mod 256.
    static func picture(height: Int, width: Int) -> DecodedImage {
        var rgb = [UInt8](), y = 0
        rgb.reserveCapacity(height * width * 3)
        while y < height {
            for x in 0..<width {
                for c in 0..<3 { rgb.append(UInt8((7 * x + 13 * y + 29 * c + x * y % 11) % 256)) }
            }
            y += 1
        }
        return DecodedImage(width: width, height: height, rgb: rgb)
    }

    static func images() throws -> [PreparedImage] {
        let processor = ImageProcessor(
            configuration: try ImageProcessorConfiguration(
                json: JSONParser.parse(#"{"size":{"shortest_edge":12544,"longest_edge":9633792}}"#), file: "test"))
        return try [(150, 100), (56, 112)].map { try processor.prepare(picture(height: $0.0, width: $0.1)) }
    }

    /// 47 tokens: text, image A (20), text, image B (8), text.
    static let promptTokens: [TokenID] =
        [291, 293, 295, 10, 40, 41, 42, 296, 10, 299] + [TokenID](repeating: 303, count: 20) + [300, 50, 299]
        + [TokenID](repeating: 303, count: 8) + [300, 51, 52, 53, 297, 10]

    static let textTokens: [TokenID] = [291, 293, 296, 10, 40, 41, 297, 10]

    /// The prompt of 7.2 with both images in place.
    static func prompt() throws -> Prompt {
        let images = try images()
        return Prompt(
            tokens: promptTokens,
            images: [PlacedImage(image: images[0], offset: 10), PlacedImage(image: images[1], offset: 33)])
    }

    /// To the other stages of a pipeline.
    var link: StageLink {
        guard let shard, let ranks else { return StageLink() }
        return StageLink(shard, communicator: ranks.communicator(ofRank: shard.rank))
    }

    func loader<B: Backend>(_ backend: B) -> WeightLoader<B> {
        WeightLoader(
            backend: backend, source: source, dtype: nil, quantization: quantization, shard: shard, loaded: loaded)
    }

    func decoder<B: Backend>(_ backend: B, maxRows: Int = 64) throws -> TextDecoder<B> {
        try TextDecoder(
            backend: backend, configuration: configuration.decoder,
            weights: DecoderWeights(loader(backend), configuration.decoder), maxRows: maxRows)
    }

    func tower<B: Backend>(_ backend: B) throws -> VisionTower<B>? {
        guard let vision = configuration.vision, shard.map({ $0.tower != nil }) ?? true else { return nil }
        return try VisionTower(
            backend: backend, configuration: vision, weights: VisionWeights(loader(backend), vision))
    }

    /// A runner over this model with an f32 cache.
    func runner<B: Backend>(_ backend: B, blockCount: Int = 64, slotCount: Int = 32) throws -> DecoderRunner<B> {
        let link = link
        let limits = RunnerLimits(
            blockSize: 16, blockCount: blockCount, slotCount: slotCount, maxModelLength: 512,
            vocabularyCount: configuration.decoder.vocabularyRows, depth: max(depth, link.stageCount),
            stageCount: link.stageCount, encoderCacheTokens: 4096)
        return try DecoderRunner(
            backend: backend, decoder: decoder(backend, maxRows: 256), tower: tower(backend),
            vision: configuration.vision, limits: limits, cacheType: .f32,
            workload: RunnerWorkload(ModelFootprint(configuration), visionStripRows: VisionTower<B>.stripRows),
            link: link, progress: progress)
    }

    /// Logits of some `rows` of a prompt, prefilled in chunks over scattered blocks of a cache, f32 unless told. None
    /// before the last stage, which has them.
    func logits<B: Backend>(
        of prompt: Prompt, rows: [Int], chunk: Int, backend: B, cacheType: DType = .f32
    ) throws -> [Float] {
        let decoder = try decoder(backend, maxRows: max(chunk, 1)), tower = try tower(backend)
        let link = link
        var embeddings: [Activation<B.Storage>] = []
        for placed in prompt.images where decoder.shard.isFirstStage {
            let tower = try #require(tower)
            let encoding = try tower.begin(placed.image)
            for unit in 0..<tower.configuration.unitCount(of: placed.image) {
                try tower.run(unit: unit, of: encoding)
            }
            embeddings.append(encoding.embeddings)
        }
        let spans = prompt.images.enumerated().map { index, placed in
            ImageSpan(
                id: ImageID(index), offset: placed.offset, rows: placed.image.tokenRows,
                columns: placed.image.tokenColumns)
        }
        let blockCount = (prompt.tokens.count + 15) / 16
        let cache = try backend.makeKVCache(
            layers: decoder.shard.layers.count, heads: decoder.shard.heads, blockCount: blockCount,
            blockSize: 16, dtype: cacheType)
        let blocks = (0..<blockCount).map { Int32(($0 * 7 + 3) % blockCount) }
        let table = Set(blocks).count == blockCount ? blocks : (0..<Int32(blockCount)).reversed()
        let sequence = SequencePositions(images: spans)
        var logits: [Float] = []
        for start in stride(from: 0, to: prompt.tokens.count, by: chunk) {
            let range = start..<min(start + chunk, prompt.tokens.count)
            if decoder.shard.isFirstStage {
                try decoder.embed(Array(prompt.tokens[range]))
            } else {
                decoder.writeHidden(try link.receiveRows(range.count * decoder.configuration.hiddenSize))
            }
            for (span, source) in zip(spans, embeddings) {
                let overlap = range.clamped(to: span.tokenRange)
                guard !overlap.isEmpty else { continue }
                decoder.replaceRows(overlap.map { $0 - start }, with: source, overlap.map { $0 - span.offset })
            }
            var positions = RotaryPositions()
            sequence.append(range, to: &positions)
            let batch = AttentionBatch(segments: [.init(rows: 0..<range.count, start: start, blocks: table)])
            try decoder.run(positions: positions, batch: batch, cache: cache) { _ in }
            guard decoder.shard.isLastStage else {
                try link.sendRows(decoder.readHidden(rows: range.count))
                continue
            }
            logits += try decoder.readLogits(of: rows.filter(range.contains).map { $0 - start })
        }
        return logits
    }
}
