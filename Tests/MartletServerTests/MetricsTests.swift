import HTTPTypes
import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

@Suite struct MetricsTests {
    /// A strict reader of the text format: HELP, TYPE, then all samples of one family; no name twice.
    struct Page {
        var types: [String: String] = [:]
        /// By `name{labels}`.
        var samples: [String: Double] = [:]
        var faults: [String] = []

        init(_ text: String) {
            var family = ""
            for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
                if line.hasPrefix("# HELP ") {
                    family = String(line.dropFirst(7).prefix { $0 != " " })
                    if types[family] != nil { faults.append("family \(family) twice") }
                    if !Self.isName(family) { faults.append("bad name \(family)") }
                } else if line.hasPrefix("# TYPE ") {
                    let words = line.split(separator: " ")
                    if words.count != 4 || String(words[2]) != family { faults.append("TYPE out of place: \(line)") }
                    types[family] = String(words[3])
                } else {
                    sample(String(line), family)
                }
            }
            if !text.hasSuffix("\n") { faults.append("no newline at the end") }
        }

        private mutating func sample(_ line: String, _ family: String) {
            guard let space = line.lastIndex(of: " "), let value = Self.value(line[line.index(after: space)...]) else {
                return faults.append("no value: \(line)")
            }
            let key = String(line[..<space])
            let name = String(key.prefix { $0 != "{" })
            let suffixes: [String] =
                switch types[family] {
                case "histogram": ["_bucket", "_count", "_sum"]
                case "summary": ["_count", "_sum"]
                default: [""]
                }
            if !suffixes.contains(where: { family + $0 == name }) { faults.append("\(name) inside \(family)") }
            if samples.updateValue(value, forKey: key) != nil { faults.append("\(key) twice") }
            let labels = key.dropFirst(name.count)
            if !labels.isEmpty, !labels.hasPrefix("{") || !labels.hasSuffix("\"}") { faults.append("labels: \(key)") }
        }

        static func isName(_ name: String) -> Bool {
            !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
        }

        static func value(_ text: Substring) -> Double? {
            text == "+Inf" ? .infinity : text == "NaN" ? .nan : Double(text)
        }
    }

    private func page(_ prepare: (inout EngineStatistics) -> Void = { _ in }) async throws -> Page {
        var statistics = EngineStatistics()
        prepare(&statistics)
        let engine = ScriptedEngine(saying: "Y")
        engine.set(statistics)
        let server = try ServerUnderTest(engine)
        _ = try await server.chat("\"stream\":true")
        _ = try await server.chat("\"n\":0")
        let reply = try await server.send(.get, "/metrics")
        #expect(reply.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
        return Page(reply.text)
    }

    @Test func isWellFormed() async throws {
        let page = try await page()
        #expect(page.faults == [])
    }

    /// What dashboards read, old names included (API.md 2.4).
    @Test func carriesTheNamesOfVLLM() async throws {
        let page = try await page { statistics in
            statistics.runningCount = 2
            statistics.waitingCount = 3
            statistics.blockCount = 8
            statistics.blockSize = 16
            statistics.usedBlockCount = 4
            statistics.promptTokens = 70
            statistics.generatedTokens = 7
            statistics.prefixHitTokens = 20
            statistics.histograms.timeToFirstToken.observe(0.3)
            statistics.histograms.timeToFirstToken.observe(9999)
        }
        let labels = "{model_name=\"autoglm-phone-9b\",engine=\"0\"}"
        let expected: [String: Double] = [
            "vllm:num_requests_running": 2, "vllm:num_requests_waiting": 3, "vllm:kv_cache_usage_perc": 0.5,
            "vllm:gpu_cache_usage_perc": 0.5, "vllm:cpu_cache_usage_perc": 0, "vllm:num_requests_swapped": 0,
            "vllm:prompt_tokens_total": 70, "vllm:generation_tokens_total": 7, "vllm:prefix_cache_hits_total": 20,
            "vllm:gpu_prefix_cache_hits_total": 20, "vllm:num_preemptions_total": 0,
            "vllm:time_to_first_token_seconds_count": 2, "vllm:time_to_first_token_seconds_sum": 9999.3,
        ]
        for (name, value) in expected { #expect(page.samples[name + labels] == value, "\(name)") }
        func bucket(_ bound: String) -> Double? {
            let labels = "{model_name=\"autoglm-phone-9b\",engine=\"0\",le=\"\(bound)\"}"
            return page.samples["vllm:time_to_first_token_seconds_bucket\(labels)"]
        }
        #expect(bucket("0.25") == 0)
        #expect(bucket("0.5") == 1)
        #expect(bucket("2560.0") == 1)
        #expect(bucket("+Inf") == 2)
        for name in [
            "vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds",
            "vllm:e2e_request_latency_seconds",
            "vllm:request_queue_time_seconds", "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds",
            "vllm:request_inference_time_seconds", "vllm:iteration_tokens_total", "vllm:request_prompt_tokens",
            "vllm:request_generation_tokens", "vllm:request_max_num_generation_tokens",
        ] {
            #expect(page.types[name] == "histogram", "\(name)")
        }
        #expect(page.types["vllm:request_success_total"] == "counter")
        #expect(page.types["vllm:request_success_created"] == "gauge")
    }

    /// Every engine's own figures under its own label, in all families of the engine.
    @Test func labelsEveryEngine() async throws {
        var one = EngineStatistics(), two = EngineStatistics()
        (one.runningCount, two.runningCount) = (1, 2)
        (one.generatedTokens, two.generatedTokens) = (10, 20)
        two.blockCount = 4
        two.usedBlockCount = 3
        two.histograms.queueTime.observe(0.4)
        let engine = ScriptedEngine(saying: "Y")
        engine.set(one, two)
        let server = try ServerUnderTest(engine)
        _ = try await server.chat("\"max_tokens\":7")
        let page = Page(try await server.send(.get, "/metrics").text)
        #expect(page.faults == [])
        func value(_ name: String, _ engine: Int, _ more: String = "") -> Double? {
            page.samples["\(name){model_name=\"autoglm-phone-9b\",engine=\"\(engine)\"\(more)}"]
        }
        #expect([0, 1].map { value("vllm:num_requests_running", $0) } == [1, 2])
        #expect([0, 1].map { value("vllm:generation_tokens_total", $0) } == [10, 20])
        #expect([0, 1].map { value("vllm:kv_cache_usage_perc", $0) } == [0, 0.75])
        #expect([0, 1].map { value("vllm:request_queue_time_seconds_count", $0) } == [0, 1])
        #expect([0, 1].map { value("vllm:request_params_max_tokens_sum", $0) } == [7, 0])
        #expect([0, 1].map { value("vllm:request_success_total", $0, ",finished_reason=\"stop\"") } == [0, 0])
        // Every family that has one engine's sample has the other's.
        for key in page.samples.keys where key.contains("engine=\"0\"") && !key.hasPrefix("vllm:cache_config_info") {
            #expect(page.samples[key.replacing("engine=\"0\"", with: "engine=\"1\"")] != nil, "\(key)")
        }
        #expect(page.samples.keys.count { $0.hasPrefix("vllm:cache_config_info{") } == 2)
    }

    @Test func tellsOfGuessesWhereThereAreAny() async throws {
        let without = try await page()
        #expect(!without.types.keys.contains { $0.contains("spec_decode") })
        let page = try await self.page { statistics in
            var speculation = SpeculationStatistics(tokenCount: 3)
            speculation.note(guessed: 3, accepted: 2)
            speculation.note(guessed: 1, accepted: 0)
            statistics.speculation = speculation
        }
        let labels = "{model_name=\"autoglm-phone-9b\",engine=\"0\"}"
        for (name, value) in [("drafts", 2.0), ("draft_tokens", 4), ("accepted_tokens", 2)] {
            #expect(page.samples["vllm:spec_decode_num_\(name)_total\(labels)"] == value)
        }
        for (position, value) in [1.0, 1, 0].enumerated() {
            let labels = labels.dropLast() + ",position=\"\(position)\"}"
            #expect(page.samples["vllm:spec_decode_num_accepted_tokens_per_pos_total\(labels)"] == value)
        }
    }

    @Test func countsWhatRequestsAskFor() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "ab"))
        _ = try await server.chat("\"n\":3,\"temperature\":1,\"max_tokens\":7")
        let page = Page(try await server.send(.get, "/metrics").text)
        let labels = "{model_name=\"autoglm-phone-9b\",engine=\"0\"}"
        #expect(page.samples["vllm:request_params_n_sum\(labels)"] == 3)
        #expect(page.samples["vllm:request_params_max_tokens_sum\(labels)"] == 7)
        #expect(page.samples["vllm:request_params_max_tokens_count\(labels)"] == 1)
    }

    @Test func countsRequestsByRoute() async throws {
        let page = try await page()
        let key = "http_requests_total{handler=\"/v1/chat/completions\",method=\"POST\",status=\"%\"}"
        for status in ["2xx", "4xx"] {
            let parts = key.split(separator: "%")
            #expect(page.samples["\(parts[0])\(status)\(parts[1])"] == 1)
        }
        #expect(page.samples["http_request_duration_highr_seconds_count"] == 2)
        #expect((page.samples["http_response_size_bytes_sum{handler=\"/v1/chat/completions\"}"] ?? 0) > 500)
        #expect(page.samples["martlet:open_streams"] == 0)
    }

    @Test func escapesLabels() {
        var page = PrometheusWriter(created: 1)
        page.gauge("a", "help", [([("l", "x\"y\\z\nw")], 1)])
        #expect(page.text == "# HELP a help\n# TYPE a gauge\na{l=\"x\\\"y\\\\z\\nw\"} 1.0\n")
    }

    @Test func logsThroughputWordForWord() {
        var before = EngineStatistics()
        before.promptTokens = 100
        var now = before
        now.promptTokens = 350
        now.generatedTokens = 55
        now.runningCount = 1
        now.waitingCount = 2
        now.blockCount = 3
        now.usedBlockCount = 1
        now.prefixQueriedTokens = 8
        now.prefixHitTokens = 1
        let line = StatisticsLog.line(before: before, now: now, seconds: 10)
        #expect(
            line.text == "Engine 000: Avg prompt throughput: 25.0 tokens/s, Avg generation throughput: 5.5 tokens/s, "
                + "Running: 1 reqs, Waiting: 2 reqs, GPU KV cache usage: 33.3%, Prefix cache hit rate: 12.5%")
        #expect(!line.isIdle)
        #expect(StatisticsLog.line(before: before, now: before, seconds: 10).isIdle)
    }
}
