import Foundation
import MartletModels

/// Configurations of real sizes, made of config.json alone.
enum Shapes {
    /// AutoGLM-Phone-9B (MODEL.md 1 and 2).
    static func autoGLM() throws -> ModelConfiguration {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-shape-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try Data(config.utf8).write(to: directory.appendingPathComponent("config.json"))
        return try ModelFiles.open(directory.path, loadFormat: .dummy, environment: [:]).configuration
    }

    private static let config = """
        {"architectures": ["Glm4vForConditionalGeneration"], "model_type": "glm4v", "image_token_id": 151363,
         "tie_word_embeddings": false,
         "text_config": {"model_type": "glm4v_text", "hidden_size": 4096, "num_hidden_layers": 40,
           "num_attention_heads": 32, "num_key_value_heads": 2, "intermediate_size": 13696, "vocab_size": 151552,
           "max_position_embeddings": 65536, "rms_norm_eps": 1e-5, "attention_bias": true, "rope_theta": 10000.0,
           "partial_rotary_factor": 0.5, "rope_scaling": {"type": "default", "mrope_section": [8, 12, 12]},
           "eos_token_id": [151329, 151336, 151338, 151348], "dtype": "bfloat16"},
         "vision_config": {"model_type": "glm4v", "depth": 24, "hidden_size": 1536, "num_heads": 12,
           "image_size": 336, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
           "out_hidden_size": 4096, "intermediate_size": 13696, "rms_norm_eps": 1e-5, "attention_bias": false,
           "in_channels": 3}}
        """
}
