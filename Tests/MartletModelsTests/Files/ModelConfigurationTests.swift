import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

@Suite struct ModelConfigurationTests {
    private func read(_ config: JSONValue, generation: JSONValue? = nil) throws -> ModelConfiguration {
        try ModelConfiguration(config: config, generation: generation, file: "m/config.json")
    }

    private func read(_ text: String, generation: String? = nil) throws -> ModelConfiguration {
        try read(try JSONParser.parse(text), generation: try generation.map { try JSONParser.parse($0) })
    }

    /// `config` with the value at a path of keys replaced, or removed.
    static func changed(_ config: JSONValue, _ path: [String], to value: JSONValue?) -> JSONValue {
        guard let key = path.first, var object = config.object else { return value ?? .null }
        if path.count == 1 {
            object[key] = value
        } else {
            object[key] = changed(object[key] ?? .object(JSONObject()), Array(path.dropFirst()), to: value)
        }
        return .object(object)
    }

    static func tiny(_ path: String, _ value: String?) throws -> JSONValue {
        let config = try JSONParser.parse(TinyModel.config)
        return changed(
            config, path.split(separator: ".").map(String.init), to: try value.map { try JSONParser.parse($0) })
    }

    @Test func theTinyModelIsRead() throws {
        let model = try read(TinyModel.config)
        #expect(model.architecture == .glm4v)
        #expect(model.decoder.heads == AttentionHeads(queryCount: 4, keyValueCount: 2, dimension: 32))
        #expect(model.decoder.rotary.axis == [0, 0, 1, 1, 1, 2, 2, 2])
        #expect(model.decoder.rotary.pairing == .interleaved)
        #expect(model.decoder.rotary.inverseFrequency.first == 1)
        #expect(model.decoder.hasAttentionBias && model.decoder.hasSandwichNorms && !model.decoder.hasTiedHead)
        #expect(model.decoder.maxPositions == 4096 && model.decoder.normEpsilon == 1e-5)
        #expect(model.imageToken == 303 && model.endTokens == [289, 296, 298, 308] && model.dtype == .f32)
        let vision = try #require(model.vision)
        #expect(vision.positionSide == 4 && vision.blockIntermediateSize == 128 && vision.mergerIntermediateSize == 192)
        #expect(!vision.hasAttentionBias && vision.headDimension == 16)
    }

    /// The first uploads keep the text keys at the top (MODEL.md 1.2).
    @Test func bothLayoutsAreOneModel() throws {
        let nested = try JSONParser.parse(TinyModel.config)
        var flat = try #require(nested.object)
        var text = try #require(nested["text_config"]?.object)
        flat["text_config"] = nil
        text["rope_parameters"] = nil
        text["model_type"] = nil
        for (key, value) in text.entries { flat[key] = value }
        flat["rope_theta"] = .integer(10000)
        flat["partial_rotary_factor"] = .number(0.5)
        flat["rope_scaling"] = try JSONParser.parse(#"{"type":"default","mrope_section":[2,3,3]}"#)
        #expect(try read(.object(flat)) == read(nested))
    }

    @Test func ropeIsLookedUpInTheStatedOrder() throws {
        var config = try Self.tiny("text_config.rope_theta", "5")
        config = Self.changed(config, ["rope_theta"], to: .integer(7))
        #expect(try read(config).decoder.rotary == read(TinyModel.config).decoder.rotary, "rope_parameters come first")
        config = Self.changed(config, ["text_config", "rope_parameters", "rope_theta"], to: nil)
        let text = try read(config).decoder.rotary.inverseFrequency
        config = Self.changed(config, ["text_config", "rope_theta"], to: nil)
        let top = try read(config).decoder.rotary.inverseFrequency
        #expect(text == RotaryConfiguration.inverseFrequencies(theta: 5, dimensions: 16))
        #expect(top == RotaryConfiguration.inverseFrequencies(theta: 7, dimensions: 16))
    }

    @Test func whatIsMissingIsTheReferencesDefault() throws {
        let model = try read(#"{"architectures":["Glm4vForConditionalGeneration"]}"#)
        let decoder = model.decoder
        #expect(decoder.layerCount == 40 && decoder.hiddenSize == 4096 && decoder.intermediateSize == 13696)
        #expect(decoder.heads == AttentionHeads(queryCount: 32, keyValueCount: 2, dimension: 128))
        #expect(decoder.vocabularyRows == 151_552 && decoder.maxPositions == 32768)
        #expect(decoder.rotary.dimensions == 64 && decoder.rotary.axis.filter { $0 == 1 }.count == 12)
        #expect(model.imageToken == 151_343 && model.endTokens == [151_329, 151_336, 151_338, 151_348])
        #expect(model.dtype == .bf16 && model.vision?.depth == 24 && model.vision?.positionSide == 24)
        let glm = try read(#"{"architectures":["Glm4ForCausalLM"],"head_dim":128}"#)
        #expect(glm.vision == nil && glm.imageToken == nil && !glm.decoder.hasAttentionBias)
        #expect(glm.decoder.rotary.dimensions == 64 && glm.decoder.rotary.axis.allSatisfy { $0 == 0 })
        let llama = try read(
            #"{"architectures":["LlamaForCausalLM"],"hidden_size":576,"num_attention_heads":9,"num_key_value_heads":3,"#
                + #""tie_word_embeddings":true,"torch_dtype":"float16","head_dim":null,"rope_scaling":null}"#)
        #expect(llama.decoder.heads == AttentionHeads(queryCount: 9, keyValueCount: 3, dimension: 64))
        #expect(llama.decoder.rotary.pairing == .halfSplit && llama.decoder.rotary.dimensions == 64)
        #expect(llama.decoder.hasTiedHead && !llama.decoder.hasSandwichNorms && llama.dtype == .f16)
    }

    @Test func endTokensAreTheUnion() throws {
        let model = try read(TinyModel.config, generation: #"{"eos_token_id":[308,310],"temperature":0.8}"#)
        #expect(model.endTokens == [289, 296, 298, 308, 310])
        #expect(try read(Self.tiny("text_config.eos_token_id", "5")).endTokens == [5])
        let error = #expect(throws: ModelError.self) {
            try read(TinyModel.config, generation: #"{"eos_token_id":[320]}"#)
        }
        #expect(error?.file == "m/generation_config.json" && error?.field == "eos_token_id")
    }

    /// Expected frequencies are transformers' for Llama 3.1 8B (head dimension 128).
    @Test func llama3ScalingIsBuilt() throws {
        let model = try read(
            #"{"architectures":["LlamaForCausalLM"],"hidden_size":4096,"num_attention_heads":32,"rope_theta":500000.0,"#
                + #""rope_scaling":{"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"#
                + #""original_max_position_embeddings":8192,"rope_type":"llama3"}}"#)
        let frequencies = model.decoder.rotary.inverseFrequency
        let plain = RotaryConfiguration.inverseFrequencies(theta: 500000, dimensions: 128)
        for (index, (scaled, plain)) in zip(frequencies, plain).enumerated() {
            switch index {
            case ..<29: #expect(scaled == plain)
            case 35...: #expect(abs(scaled * 8 - plain) <= plain * 1e-6)
            default: #expect(scaled < plain && scaled > plain / 8)
            }
        }
    }

    /// A change of the tiny model that must be refused, and the key that the refusal must name.
    static let refusals: [(path: String, value: String?, field: String)] = [
        ("architectures", nil, "architectures"), ("architectures", "[]", "architectures"),
        ("architectures", "3", "architectures"), ("architectures", #"["Qwen2ForCausalLM"]"#, "architectures"),
        ("text_config", "7", "text_config"), ("vision_config", "[]", "vision_config"),
        ("text_config.num_attention_heads", "0", "text_config.num_attention_heads"),
        ("text_config.num_attention_heads", "-4", "text_config.num_attention_heads"),
        ("text_config.num_attention_heads", "3", "text_config.num_key_value_heads"),
        ("text_config.num_attention_heads", "6", "text_config.num_attention_heads"),
        ("text_config.num_attention_heads", #""4""#, "text_config.num_attention_heads"),
        ("text_config.num_attention_heads", "4.5", "text_config.num_attention_heads"),
        ("text_config.num_attention_heads", "true", "text_config.num_attention_heads"),
        ("text_config.num_attention_heads", "[4]", "text_config.num_attention_heads"),
        ("text_config.num_key_value_heads", "0", "text_config.num_key_value_heads"),
        ("text_config.num_key_value_heads", "8", "text_config.num_key_value_heads"),
        ("text_config.head_dim", "0", "text_config.head_dim"),
        ("text_config.head_dim", "100000", "text_config.head_dim"),
        ("text_config.hidden_size", "0", "text_config.hidden_size"),
        ("text_config.hidden_size", "9223372036854775807", "text_config.hidden_size"),
        ("text_config.hidden_size", "9223372036854775808", "text_config.hidden_size"),
        ("text_config.hidden_size", "1e300", "text_config.hidden_size"),
        ("text_config.hidden_size", "256", "text_config.rope_parameters.mrope_section"),
        ("text_config.intermediate_size", "-1", "text_config.intermediate_size"),
        ("text_config.num_hidden_layers", "1000000000", "text_config.num_hidden_layers"),
        ("text_config.num_hidden_layers", "0", "text_config.num_hidden_layers"),
        ("text_config.vocab_size", "2147483648", "text_config.vocab_size"),
        ("text_config.vocab_size", "300", "image_token_id"),
        ("text_config.max_position_embeddings", "0", "text_config.max_position_embeddings"),
        ("text_config.rms_norm_eps", "0", "text_config.rms_norm_eps"),
        ("text_config.rms_norm_eps", "-1e-5", "text_config.rms_norm_eps"),
        ("text_config.rms_norm_eps", #""1e-5""#, "text_config.rms_norm_eps"),
        ("text_config.hidden_act", #""relu""#, "text_config.hidden_act"),
        ("text_config.eos_token_id", "[-1]", "text_config.eos_token_id"),
        ("text_config.eos_token_id", #""</s>""#, "text_config.eos_token_id"),
        ("text_config.rope_parameters", "[]", "text_config.rope_parameters"),
        ("text_config.rope_parameters.rope_theta", "0", "text_config.rope_parameters.rope_theta"),
        ("text_config.rope_parameters.rope_theta", #""NaN""#, "text_config.rope_parameters.rope_theta"),
        ("text_config.rope_parameters.rope_type", #""yarn""#, "text_config.rope_parameters.rope_type"),
        ("text_config.rope_parameters.rope_type", "1", "text_config.rope_parameters.rope_type"),
        ("text_config.rope_parameters.partial_rotary_factor", "0", "text_config.rope_parameters.partial_rotary_factor"),
        (
            "text_config.rope_parameters.partial_rotary_factor", "1.5",
            "text_config.rope_parameters.partial_rotary_factor"
        ),
        (
            "text_config.rope_parameters.partial_rotary_factor", "0.1",
            "text_config.rope_parameters.partial_rotary_factor"
        ),
        ("text_config.rope_parameters.mrope_section", "[2,3,4]", "text_config.rope_parameters.mrope_section"),
        ("text_config.rope_parameters.mrope_section", "[8]", "text_config.rope_parameters.mrope_section"),
        ("text_config.rope_parameters.mrope_section", "[-1,4,5]", "text_config.rope_parameters.mrope_section"),
        (
            "text_config.rope_parameters.mrope_section", "[9223372036854775807,1,1]",
            "text_config.rope_parameters.mrope_section"
        ),
        ("text_config.rope_parameters.mrope_section", #""2,3,3""#, "text_config.rope_parameters.mrope_section"),
        ("text_config.rope_parameters.mrope_section", nil, "text_config.mrope_section"),
        ("image_token_id", "320", "image_token_id"), ("image_token_id", nil, "image_token_id"),
        ("tie_word_embeddings", #""no""#, "tie_word_embeddings"), ("dtype", #""int8""#, "dtype"),
        ("quantization_config", #"{"quant_method":"awq"}"#, "quantization_config"),
        ("quantization_config", #"{"quant_method":"gptq"}"#, "quantization_config"),
        ("text_config.quantization_config", #"{"quant_method":"fp8"}"#, "text_config.quantization_config"),
        ("vision_config.depth", "0", "vision_config.depth"),
        ("vision_config.num_heads", "0", "vision_config.num_heads"),
        ("vision_config.num_heads", "5", "vision_config.num_heads"),
        ("vision_config.num_heads", "16", "vision_config.num_heads"),
        ("vision_config.patch_size", "0", "vision_config.patch_size"),
        ("vision_config.image_size", "57", "vision_config.image_size"),
        ("vision_config.spatial_merge_size", "3", "vision_config.spatial_merge_size"),
        ("vision_config.temporal_patch_size", "0", "vision_config.temporal_patch_size"),
        ("vision_config.in_channels", "4", "vision_config.in_channels"),
        ("vision_config.out_hidden_size", "64", "vision_config.out_hidden_size"),
        ("vision_config.intermediate_size", "99999999", "vision_config.intermediate_size"),
    ]

    @Test(arguments: refusals.indices) func badValuesAreRefusedByName(index: Int) throws {
        let (path, value, field) = Self.refusals[index]
        let config = try Self.tiny(path, value)
        let error = try #require(
            #expect(throws: ModelError.self, "\(path) = \(value ?? "nothing")") { try read(config) })
        #expect(error.file == "m/config.json")
        #expect(error.field == field, "\(error)")
    }

    @Test func refusalsSayWhatWorks() throws {
        let unknown = #expect(throws: ModelError.self) { try read(#"{"architectures":["Qwen2ForCausalLM"]}"#) }
        for known in ModelArchitecture.allCases { #expect(unknown?.reason.contains(known.rawValue) == true) }
        let awq = #expect(throws: ModelError.self) {
            try read(try Self.tiny("quantization_config", #"{"quant_method":"awq"}"#))
        }
        for word in ["awq", "bf16", "GGUF", "Q4_K_M", "Q8_0"] { #expect(awq?.reason.contains(word) == true) }
        #expect(throws: ModelError.self) { try read("[]") }
        #expect(throws: ModelError.self) { try read(#"{"architectures":["LlamaForCausalLM"],"attention_bias":true}"#) }
        #expect(throws: ModelError.self) { try read(#"{"architectures":["LlamaForCausalLM"],"mlp_bias":true}"#) }
        #expect(throws: ModelError.self) { try read(TinyModel.config, generation: "[]") }
    }

    /// Values of wrong types, sizes and places give a typed error or a model whose tensors can be listed.
    @Test(arguments: 0..<4) func mutationsNeverTrap(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let bytes = Array(TinyModel.config.utf8)
        let digits = Array("0123456789.-e\"[]{}, tn".utf8)
        for _ in 0..<500 {
            var mutant = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<mutant.count, using: &random)
                // Numbers are where the danger is: aim at them.
                let aimed = mutant[place...].firstIndex { (0x30...0x39).contains($0) } ?? place
                if Bool.random(using: &random) {
                    mutant.insert(digits.randomElement(using: &random) ?? 0x30, at: aimed)
                }
                mutant[aimed] = digits.randomElement(using: &random) ?? 0x30
            }
            guard let config = try? JSONParser.parse(mutant) else { continue }
            do throws(ModelError) {
                let model = try ModelConfiguration(config: config, generation: nil, file: "config.json")
                #expect(model.tensors.allSatisfy { $0.byteCount > 0 })
            } catch {
                #expect(error.file == "config.json")
            }
        }
    }
}
