import Testing

@testable import MartletCommand

@Suite struct ConfigurationFileTests {
    private func words(_ text: String) throws(UsageError) -> [String] {
        try ConfigurationFile.arguments(text: text, file: "f.yaml")
    }

    private func failure(_ text: String) -> String {
        do throws(UsageError) {
            _ = try words(text)
            return ""
        } catch { return error.description }
    }

    @Test func readsWhatFlagsNeed() throws {
        let text = """
            ---
            # a comment
            model: "zai-org/AutoGLM-Phone-9B"   # and another
            served-model-name:
              - autoglm-phone-9b
              - 'phone # 2'
            port: 8001
            api_key: [a, b]
            enable-prefix-caching: no
            enable-log-requests: true
            limit-mm-per-prompt:
              image: 10
            mm-processor-kwargs: {"max_pixels": 5000000}
            """
        #expect(
            try words(text) == [
                "--model=zai-org/AutoGLM-Phone-9B", "--served-model-name", "autoglm-phone-9b", "phone # 2",
                "--port=8001", "--api_key", "a", "b", "--no-enable-prefix-caching", "--enable-log-requests",
                "--limit-mm-per-prompt.image", "10", "--mm-processor-kwargs={\"max_pixels\": 5000000}",
            ])
    }

    @Test func refusesTheRestByLine() {
        #expect(failure("port 8000").hasPrefix("f.yaml, line 1: 'port 8000'"))
        #expect(failure("port: 1\n\tx: 2").contains("line 2"))
        #expect(failure("  - a").contains("without a key"))
        #expect(failure("a: &anchor").contains("line 1: this form of YAML"))
        #expect(failure("a: |").contains("this form of YAML"))
        #expect(failure("a: [1").contains("must end on its line"))
        #expect(failure("enable-log-requests: perhaps").contains("true or false"))
        #expect(failure("port:8000").contains("a space is missing"))
    }
}
