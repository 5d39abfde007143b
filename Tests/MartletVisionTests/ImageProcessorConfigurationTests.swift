import MartletCore
import Testing

@testable import MartletVision

@Suite struct ImageProcessorConfigurationTests {
    private func read(_ text: String) throws -> ImageProcessorConfiguration {
        try ImageProcessorConfiguration(json: try JSONParser.parse(text), file: "preprocessor_config.json")
    }

    private let published = """
        {"size":{"shortest_edge":12544,"longest_edge":9633792},"do_rescale":true,"patch_size":14,
        "temporal_patch_size":2,"merge_size":2,"image_mean":[0.48145466,0.4578275,0.40821073],
        "image_std":[0.26862954,0.26130258,0.27577711],"image_processor_type":"Glm4vImageProcessor",
        "processor_class":"Glm4vProcessor"}
        """

    @Test("the file of GLM-4.1V, alone and inside processor_config.json") func publishedFile() throws {
        #expect(try read(published) == .glm)
        #expect(try read("{\"processor_class\":\"x\",\"image_processor\":\(published)}") == .glm)
    }

    @Test("missing keys, a missing file and nulls take the library's defaults") func defaults() throws {
        let library = try ImageProcessorConfiguration(json: nil, file: "preprocessor_config.json")
        #expect((library.shortestEdge, library.longestEdge) == (12544, 11_760_000))
        #expect(try read("{}") == library)
        #expect(try read(#"{"size":null,"patch_size":null,"image_mean":null,"do_resize":null}"#) == library)
    }

    @Test("normalising off leaves pixel / 255") func plain() throws {
        let configuration = try read(#"{"do_normalize":false,"image_std":[0,0,0]}"#)
        #expect(configuration.mean == .zero && configuration.deviation == SIMD3(repeating: 1))
    }

    @Test("faults name the file and the field", arguments: [
        (#"[]"#, "image_processor"), (#"{"patch_size":0}"#, "patch_size"), (#"{"patch_size":"14"}"#, "patch_size"),
        (#"{"merge_size":1000000000000}"#, "merge_size"), (#"{"temporal_patch_size":1.5}"#, "temporal_patch_size"),
        (#"{"size":7}"#, "size"), (#"{"size":{"shortest_edge":-1}}"#, "size.shortest_edge"),
        (#"{"size":{"longest_edge":9223372036854775807}}"#, "size.longest_edge"),
        (#"{"size":{"shortest_edge":1000000000000}}"#, "size.shortest_edge"), (#"{"patch_size":65}"#, "patch_size"),
        (#"{"size":{"shortest_edge":5,"longest_edge":4}}"#, "size"), (#"{"do_resize":1}"#, "do_resize"),
        (#"{"image_mean":[1,2]}"#, "image_mean"), (#"{"image_mean":[1,2,"3"]}"#, "image_mean"),
        (#"{"image_std":[1,0,1]}"#, "image_std"), (#"{"image_std":[1,1e99,1]}"#, "image_std"),
        (#"{"do_rescale":false}"#, "do_rescale"), (#"{"rescale_factor":1}"#, "rescale_factor"),
        (#"{"resample":2}"#, "resample"),
    ])
    func faults(text: String, field: String) throws {
        let error = #expect(throws: ImageError.self) { try read(text) }
        guard case .configuration("preprocessor_config.json", field, _) = error else {
            Issue.record("\(text): \(String(describing: error))")
            return
        }
    }

    @Test("--mm-processor-kwargs moves the limits") func overrides() throws {
        let both = try ImageProcessorConfiguration.glm.overriding(minPixels: 20_000, maxPixels: 5_000_000)
        #expect((both.shortestEdge, both.longestEdge) == (20_000, 5_000_000))
        let small = try ImageProcessorConfiguration.glm.overriding(minPixels: nil, maxPixels: 10_000)
        #expect((small.shortestEdge, small.longestEdge) == (10_000, 10_000))
        #expect(try ImageProcessorConfiguration.glm.overriding(minPixels: nil, maxPixels: nil) == .glm)
        for (low, high) in [(0, nil), (nil, -5), (7, 6), (nil, Int.max), (1 << 28, nil)] as [(Int?, Int?)] {
            #expect(throws: ImageError.self) {
                try ImageProcessorConfiguration.glm.overriding(minPixels: low, maxPixels: high)
            }
        }
    }
}
