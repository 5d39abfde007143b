import MartletCore
import MartletEngine

/// The text of `/metrics`: the names vLLM's dashboards read, their old aliases, and our own under `martlet:`
/// (API.md 2.4).
struct MetricsPage {
    let model: ServedModel
    /// Of each engine, in order.
    let engines: [EngineStatistics]
    let server: ServerMetrics

    typealias Samples = [(labels: PrometheusWriter.Labels, value: Double)]

    func text() -> String {
        var page = PrometheusWriter(created: server.started)
        writeGauges(into: &page)
        writeCounters(into: &page)
        if engines.contains(where: { $0.speculation != nil }) { writeSpeculation(into: &page) }
        writeHistograms(into: &page)
        writeOwn(into: &page)
        server.http.write(into: &page)
        ProcessMetrics.write(into: &page)
        return page.text
    }

    private func labels(_ engine: Int) -> PrometheusWriter.Labels {
        [("model_name", model.name), ("engine", "\(engine)")]
    }

    /// A value of each engine.
    private func each(_ value: (EngineStatistics) -> Double) -> Samples {
        engines.enumerated().map { (labels($0), value($1)) }
    }

    private func each(_ value: (EngineStatistics) -> UInt64) -> Samples { each { Double(value($0)) } }
    private func each(_ value: (EngineStatistics) -> Int) -> Samples { each { Double(value($0)) } }

    /// The same of each engine under several labels' values.
    private func each(by label: String, _ values: (EngineStatistics) -> [(String, Double)]) -> Samples {
        engines.enumerated().flatMap { index, engine in
            values(engine).map { (labels(index) + [(label, $0.0)], $0.1) }
        }
    }

    /// What the server counts, whichever engine answers.
    private func whole(_ value: Int) -> Samples { [([("model_name", model.name)], Double(value))] }

    private func writeGauges(into page: inout PrometheusWriter) {
        page.gauge("vllm:num_requests_running", "Requests in execution batches.", each(\.runningCount))
        page.gauge("vllm:num_requests_waiting", "Requests waiting to be processed.", each(\.waitingCount))
        page.gauge(
            "vllm:num_requests_waiting_by_reason", "Requests waiting, by reason.",
            each(by: "reason") { [("capacity", Double($0.waitingCount)), ("deferred", 0)] })
        page.gauge("vllm:num_requests_swapped", "Old name: always 0.", each { _ in 0.0 })
        for name in ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"] {
            page.gauge(name, "KV cache usage. 1 means 100 percent.", each(\.cacheUsage))
        }
        page.gauge("vllm:cpu_cache_usage_perc", "Old name for a swap space: always 0.", each { _ in 0.0 })
        page.gauge(
            "vllm:engine_sleep_state", "1 for the state the engine is in.",
            each(by: "sleep_state") { _ in [("awake", 1), ("weights_offloaded", 0), ("discard_all", 0)] })
        page.gauge(
            "vllm:cache_config_info", "The KV cache's configuration, in labels.",
            engines.enumerated().map { index, engine in
                let tokens = engine.blockCount * engine.blockSize
                let concurrency = Double(tokens) / Double(max(1, model.maxModelLength))
                return (
                    [
                        ("block_size", "\(engine.blockSize)"), ("num_gpu_blocks", "\(engine.blockCount)"),
                        ("kv_cache_size_tokens", "\(tokens)"), ("kv_cache_max_concurrency", "\(concurrency)"),
                        ("engine", "\(index)"),
                    ], 1
                )
            })
    }

    private func writeCounters(into page: inout PrometheusWriter) {
        for name in ["vllm:prefix_cache", "vllm:gpu_prefix_cache"] {
            page.counter("\(name)_queries", "Prefix cache queries, in tokens.", each(\.prefixQueriedTokens))
            page.counter("\(name)_hits", "Prefix cache hits, in tokens.", each(\.prefixHitTokens))
        }
        page.counter("vllm:mm_cache_queries", "Encoder cache queries, in images.", each(\.encoderQueries))
        page.counter("vllm:mm_cache_hits", "Encoder cache hits, in images.", each(\.encoderHits))
        page.counter("vllm:num_preemptions", "Preemptions by the scheduler.", each(\.preemptions))
        page.counter("vllm:prompt_tokens", "Prefill tokens processed.", each(\.promptTokens))
        page.counter("vllm:generation_tokens", "Generation tokens processed.", each(\.generatedTokens))
        page.counter(
            "vllm:prompt_tokens_by_source", "Prompt tokens by source.",
            each(by: "source") {
                let computed = Double($0.promptTokens) - Double(min($0.prefixHitTokens, $0.promptTokens))
                return [("local_compute", computed), ("local_cache_hit", Double($0.prefixHitTokens))]
            })
        page.counter("vllm:prompt_tokens_cached", "Prompt tokens found in a cache.", each(\.prefixHitTokens))
        page.counter(
            "vllm:request_success", "Finished requests, by reason.",
            each(by: "finished_reason") {
                [
                    ("stop", Double($0.finishedStop)), ("length", Double($0.finishedLength)),
                    ("abort", Double($0.finishedCancelled)), ("error", Double($0.finishedError)), ("repetition", 0),
                ]
            })
        page.counter(
            "vllm:admission_rejections", "Requests refused because the queue was full.",
            each(by: "reason") { [("max_num_queued_reqs", Double($0.rejectedRequests))] })
    }

    private func writeSpeculation(into page: inout PrometheusWriter) {
        func each(_ field: KeyPath<SpeculationStatistics, UInt64>) -> Samples {
            self.each { $0.speculation?[keyPath: field] ?? 0 }
        }
        page.counter("vllm:spec_decode_num_drafts", "Decodes with tokens guessed behind them.", each(\.drafts))
        page.counter("vllm:spec_decode_num_draft_tokens", "Tokens guessed.", each(\.guessedTokens))
        page.counter("vllm:spec_decode_num_accepted_tokens", "Guesses that were right.", each(\.acceptedTokens))
        page.counter(
            "vllm:spec_decode_num_accepted_tokens_per_pos", "Guesses that were right, by position behind the decode.",
            self.each(by: "position") {
                ($0.speculation?.acceptedByPosition ?? []).enumerated().map { ("\($0)", Double($1)) }
            })
    }

    private func writeHistograms(into page: inout PrometheusWriter) {
        let families: [(String, String, KeyPath<EngineHistograms, Histogram>)] = [
            ("vllm:time_to_first_token_seconds", "Time to first token.", \.timeToFirstToken),
            ("vllm:inter_token_latency_seconds", "Time between tokens.", \.interTokenLatency),
            ("vllm:time_per_output_token_seconds", "Old name of the time between tokens.", \.interTokenLatency),
            ("vllm:request_time_per_output_token_seconds", "Mean time per token of a request.", \.timePerOutputToken),
            ("vllm:e2e_request_latency_seconds", "End-to-end request latency.", \.endToEnd),
            ("vllm:request_queue_time_seconds", "Time in the waiting phase.", \.queueTime),
            ("vllm:request_inference_time_seconds", "Time in the running phase.", \.inferenceTime),
            ("vllm:request_prefill_time_seconds", "Time in the prefill phase.", \.prefillTime),
            ("vllm:request_decode_time_seconds", "Time in the decode phase.", \.decodeTime),
            ("vllm:iteration_tokens_total", "Tokens of a step.", \.iterationTokens),
            ("vllm:request_prompt_tokens", "Prefill tokens of a request.", \.promptTokens),
            ("vllm:request_generation_tokens", "Generation tokens of a request.", \.generatedTokens),
            ("vllm:request_max_num_generation_tokens", "Most tokens of a choice of a request.", \.generatedTokens),
            ("vllm:request_num_preemptions", "Preemptions of a request.", \.requestPreemptions),
        ]
        for (name, help, field) in families {
            page.histogram(name, help, engines.enumerated().map { (labels($0), $1.histograms[keyPath: field]) })
        }
        let asked = server.counts.asked(engineCount: engines.count)
        page.histogram(
            "vllm:request_params_n", "Choices that a request asks for.",
            asked.enumerated().map { (labels($0), $1.choices) })
        page.histogram(
            "vllm:request_params_max_tokens", "Tokens that a request allows.",
            asked.enumerated().map { (labels($0), $1.maxTokens) })
    }

    private func writeOwn(into page: inout PrometheusWriter) {
        page.gauge("martlet:kv_blocks", "Blocks of the KV cache.", each(\.blockCount))
        page.gauge("martlet:kv_blocks_used", "Blocks that a sequence holds.", each(\.usedBlockCount))
        page.gauge("martlet:kv_blocks_cached", "Blocks that only hold a prefix.", each(\.cachedBlockCount))
        page.counter("martlet:steps", "Engine steps.", each(\.steps))
        page.counter("martlet:forward_seconds", "Time inside the model's operations.", each(\.forwardSeconds))
        page.counter("martlet:prefill_ahead_tokens", "Tokens prefilled before a request asked.", each(\.aheadTokens))
        page.counter("martlet:prefill_ahead_hit_tokens", "Of them, found by a request.", each(\.aheadHitTokens))
        page.counter("martlet:encoded_image_tokens", "Image tokens computed.", each(\.encodedImageTokens))
        page.counter(
            "martlet:integrity_failures", "Failed checks of the block accounting: a bug.", each(\.integrityFailures))
        let counts = server.counts
        page.counter("martlet:images", "Images received.", whole(counts.images))
        page.counter("martlet:image_tokens", "Tokens of the images received.", whole(counts.imageTokens))
        page.counter("martlet:images_fitted", "Images shrunk to fit the context.", whole(counts.fittedImages))
    }
}
