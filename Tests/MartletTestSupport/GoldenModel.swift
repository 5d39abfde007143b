/// The tiny model of MODEL.md 7.2, whose weights are `DummyCheckpoint`'s.
package enum GoldenModel {
    /// Its `config.json`, nested layout.
    package static let config = """
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
}
