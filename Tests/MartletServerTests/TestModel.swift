import Foundation
import MartletCore
import MartletText
import MartletVision

@testable import MartletServer

/// A model that exists only as text: every byte is a token (id = its place in GPT-2's alphabet), and a few control
/// tokens follow.
enum TestModel {
    static let special = [
        "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|begin_of_image|>", "<|end_of_image|>",
        "<|image|>",
    ]
    static let plain = ["<think>", "</think>", "<answer>", "</answer>"]

    static let endOfText: TokenID = 256
    static let user: TokenID = 258
    static let image: TokenID = 262
    static let vocabularySize = 267

    static let tokenizer: Tokenizer = {
        do {
            return try Tokenizer(tokenizerJSON: Array(file.utf8), file: "tokenizer.json", configuration: nil)
        } catch { preconditionFailure("\(error)") }
    }()

    private static var file: String {
        var next: UInt32 = 0x100
        var writer = JSONWriter()
        writer.raw("{\"added_tokens\":[")
        for (index, token) in (special + plain).enumerated() {
            if index > 0 { writer.raw(",") }
            writer.raw("{\"id\":\(256 + index),\"special\":\(index < special.count),\"normalized\":false,")
            writer.raw("\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"content\":")
            writer.string(token)
            writer.raw("}")
        }
        writer.raw("],\"normalizer\":null,\"pre_tokenizer\":")
        writer.raw("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},")
        writer.raw("\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},")
        writer.raw("\"model\":{\"type\":\"BPE\",\"vocab\":{")
        for byte in UInt32(0)..<256 {
            var scalar = byte
            if !(0x21...0x7E).contains(byte), !(0xA1...0xAC).contains(byte), !(0xAE...0xFF).contains(byte) {
                scalar = next
                next += 1
            }
            if byte > 0 { writer.raw(",") }
            writer.string(String(Character(Unicode.Scalar(scalar)!)))
            writer.raw(":\(byte)")
        }
        writer.raw("},\"merges\":[]}}")
        return writer.text
    }

    static let template = """
        {%- for m in messages -%}<|{{ m.role }}|>
        {%- if m.content is string -%}{{ m.content }}
        {%- else -%}
        {%- for part in m.content -%}
        {%- if part.type == 'image' -%}<|begin_of_image|><|image|><|end_of_image|>
        {%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}
        {%- endfor -%}{%- endif -%}{%- endfor -%}
        {%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
        """

    static func served(maxModelLength: Int = 512, hasImages: Bool = true, hasChat: Bool = true) throws -> ServedModel {
        let renderer = ChatRenderer(
            template: try ChatTemplate(source: template, file: "chat_template.jinja"), beginToken: nil, endToken: nil,
            answerTags: true, guarding: { tokenizer.guarding($0) })
        return ServedModel(
            names: ["autoglm-phone-9b", "other/name"], root: "/models/AutoGLM-Phone-9B",
            architecture: "Glm4vForConditionalGeneration", maxModelLength: maxModelLength,
            vocabularySize: vocabularySize, tokenizer: tokenizer, chat: hasChat ? renderer : nil,
            images: hasImages ? ImageProcessor(configuration: ImageProcessorConfiguration()) : nil,
            imageToken: hasImages ? image : nil, endTokens: [endOfText, user], created: 1_700_000_000)
    }

    /// The tokens of `text`, one a byte.
    static func tokens(_ text: String) -> [TokenID] { tokenizer.encode(text, addSpecialTokens: false) }
}
