import MartletCore
import Testing

@testable import MartletText

/// The renderings of MODEL.md 5.1, each as the template alone gives it.
@Suite struct ChatTemplateTests {
    private static func render(_ messages: String, generates: Bool = true) throws -> String {
        let template = try ChatTemplate(source: BuiltInTemplate.glm4v, file: "built in")
        return try template.render(
            JSONObject([
                ("messages", try JSONParser.parse(messages)), ("add_generation_prompt", .bool(generates)),
            ]))
    }

    private static let image = "<|begin_of_image|><|image|><|end_of_image|>"
    private static let video = "<|begin_of_video|><|video|><|end_of_video|>"

    @Test(arguments: [
        (
            #"[{"role": "system", "content": "SYS"}, {"role": "user", "content": "hello"}]"#, true,
            "[gMASK]<sop><|system|>\nSYS<|user|>\nhello<|assistant|>\n"
        ),
        (
            #"""
            [{"role": "system", "content": "SYS"},
             {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Q1"}]}]
            """#, true,
            "[gMASK]<sop><|system|>\nSYS<|user|>\n\(image)Q1<|assistant|>\n"
        ),
        (
            #"""
            [{"role": "user", "content":
                [{"type": "text", "text": "Q0"}, {"type": "image"}, {"type": "text", "text": "Q1"}]}]
            """#, true,
            "[gMASK]<sop><|user|>\nQ0\(image)Q1<|assistant|>\n"
        ),
        (
            #"""
            [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "Q1"}]},
             {"role": "assistant", "content": "A"}, {"role": "user", "content": "next"}]
            """#, true,
            "[gMASK]<sop><|user|>\n\(video)Q1<|assistant|>\nA<|user|>\nnext<|assistant|>\n"
        ),
        (
            #"[{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]"#, false,
            "[gMASK]<sop><|user|>\nx<|assistant|>\ny"
        ),
        (
            #"""
            [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "metadata": "tool"},
             {"role": "tool", "content": "z"}]
            """#, true,
            "[gMASK]<sop><|user|>\nx<|assistant|>tool\ny<|assistant|>\n"
        ),
        ("[]", true, "[gMASK]<sop><|assistant|>\n"),
        (#"[{"role": "user", "content": ""}]"#, true, "[gMASK]<sop><|user|>\n<|assistant|>\n"),
        (#"[{"role": "user", "content": []}]"#, true, "[gMASK]<sop><|user|>\n<|assistant|>\n"),
        (
            #"""
            [{"role": "system", "content": [{"type": "text", "text": "SYS"}]}, {"role": "user", "content": "x"}]
            """#, true,
            "[gMASK]<sop><|system|>\n[{'type': 'text', 'text': 'SYS'}]<|user|>\nx<|assistant|>\n"
        ),
        (
            #"""
            [{"role": "user", "content":
                [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "Q1"}]}]
            """#, true,
            "[gMASK]<sop><|user|>\nQ1<|assistant|>\n"
        ),
    ])
    func rendersTheFamily(messages: String, generates: Bool, expected: String) throws {
        #expect(try Self.render(messages, generates: generates) == expected)
    }

    @Test func errorsNameFileAndLine() {
        #expect(throws: TemplateError(.syntax, "a tag is not closed: expected '%}'", file: "a.jinja", line: 3)) {
            try ChatTemplate(source: "x\n\n{% if true", file: "a.jinja")
        }
        #expect(throws: TemplateError(.raised, "roles must alternate", file: "a.jinja", line: 2)) {
            try ChatTemplate(source: "x\n{{ raise_exception('roles must alternate') }}", file: "a.jinja")
                .render(JSONObject())
        }
    }

    @Test func tellsTheTimeItIsGiven() throws {
        let template = try ChatTemplate(source: "{{ strftime_now('%Y-%m') }}", file: "a")
        #expect(try template.render(JSONObject(), now: 1_770_000_000) == "2026-02")
    }
}
