import MartletCore
import MartletEngine

/// The text of `/metrics`: the names vLLM's dashboards read, their old aliases, and our own under `martlet:`
/// (API.md 2.4).
struct MetricsPage {
    let model: ServedModel
    let statistics: EngineStatistics
    let server: ServerMetrics

    private var labels: PrometheusWriter.Labels { [("model_name", model.name), ("engine", "0")] }

    func text() -> String {
        var page = PrometheusWriter(created: server.started)
        writeGauges(into: &page)
        writeCounters(into: &page)
        if let speculation = statistics.speculation { write(speculation, into: &page) }
        writeHistograms(into: &page)
        writeOwn(into: &page)
        server.http.write(into: &page)
        ProcessMetrics.write(into: &page)
        return page.text
    }

    private func one(_ value: Double) -> [(labels: PrometheusWriter.Labels, value: Double)] { [(labels, value)] }
    private func one(_ value: UInt64) -> [(labels: PrometheusWriter.Labels, value: Double)] { one(Double(value)) }

    /// The same value under several labels' values.
    private func by(
        _ label: String, _ values: [(String, Double)]
    ) -> [(labels: PrometheusWriter.Labels, value: Double)] {
        values.map { (labels + [(label, $0.0)], $0.1) }
    }

    private func writeGauges(into page: inout PrometheusWriter) {
        let waiting = Double(statistics.waitingCount)
        page.gauge("vllm:num_requests_running", "Requests in execution batches.", one(Double(statistics.runningCount)))
        page.gauge("vllm:num_requests_waiting", "Requests waiting to be processed.", one(waiting))
        page.gauge(
            "vllm:num_requests_waiting_by_reason", "Requests waiting, by reason.",
            by("reason", [("capacity", waiting), ("deferred", 0)]))
        page.gauge("vllm:num_requests_swapped", "Old name: always 0.", one(0.0))
        for name in ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"] {
            page.gauge(name, "KV cache usage. 1 means 100 percent.", one(statistics.cacheUsage))
        }
        page.gauge("vllm:cpu_cache_usage_perc", "Old name for a swap space: always 0.", one(0.0))
        page.gauge(
            "vllm:engine_sleep_state", "1 for the state the engine is in.",
            by("sleep_state", [("awake", 1), ("weights_offloaded", 0), ("discard_all", 0)]))
        let tokens = statistics.blockCount * statistics.blockSize
        let concurrency = Double(tokens) / Double(max(1, model.maxModelLength))
        page.gauge(
            "vllm:cache_config_info", "The KV cache's configuration, in labels.",
            [
                (
                    [
                        ("block_size", "\(statistics.blockSize)"), ("num_gpu_blocks", "\(statistics.blockCount)"),
                        ("kv_cache_size_tokens", "\(tokens)"), ("kv_cache_max_concurrency", "\(concurrency)"),
                        ("engine", "0"),
                    ], 1
                )
            ])
    }

    private func writeCounters(into page: inout PrometheusWriter) {
        let s = statistics
        for name in ["vllm:prefix_cache", "vllm:gpu_prefix_cache"] {
            page.counter("\(name)_queries", "Prefix cache queries, in tokens.", one(s.prefixQueriedTokens))
            page.counter("\(name)_hits", "Prefix cache hits, in tokens.", one(s.prefixHitTokens))
        }
        page.counter("vllm:mm_cache_queries", "Encoder cache queries, in images.", one(s.encoderQueries))
        page.counter("vllm:mm_cache_hits", "Encoder cache hits, in images.", one(s.encoderHits))
        page.counter("vllm:num_preemptions", "Preemptions by the scheduler.", one(s.preemptions))
        page.counter("vllm:prompt_tokens", "Prefill tokens processed.", one(s.promptTokens))
        page.counter("vllm:generation_tokens", "Generation tokens processed.", one(s.generatedTokens))
        let computed = Double(s.promptTokens) - Double(min(s.prefixHitTokens, s.promptTokens))
        page.counter(
            "vllm:prompt_tokens_by_source", "Prompt tokens by source.",
            by("source", [("local_compute", computed), ("local_cache_hit", Double(s.prefixHitTokens))]))
        page.counter("vllm:prompt_tokens_cached", "Prompt tokens found in a cache.", one(s.prefixHitTokens))
        page.counter(
            "vllm:request_success", "Finished requests, by reason.",
            by(
                "finished_reason",
                [
                    ("stop", Double(s.finishedStop)), ("length", Double(s.finishedLength)),
                    ("abort", Double(s.finishedCancelled)), ("error", Double(s.finishedError)), ("repetition", 0),
                ]))
        page.counter(
            "vllm:admission_rejections", "Requests refused because the queue was full.",
            by("reason", [("max_num_queued_reqs", Double(s.rejectedRequests))]))
    }

    private func write(_ speculation: SpeculationStatistics, into page: inout PrometheusWriter) {
        let s = speculation
        page.counter("vllm:spec_decode_num_drafts", "Decodes with tokens guessed behind them.", one(s.drafts))
        page.counter("vllm:spec_decode_num_draft_tokens", "Tokens guessed.", one(s.guessedTokens))
        page.counter("vllm:spec_decode_num_accepted_tokens", "Guesses that were right.", one(s.acceptedTokens))
        page.counter(
            "vllm:spec_decode_num_accepted_tokens_per_pos", "Guesses that were right, by position behind the decode.",
            by("position", s.acceptedByPosition.enumerated().map { ("\($0)", Double($1)) }))
    }

    private func writeHistograms(into page: inout PrometheusWriter) {
        let h = statistics.histograms
        let families: [(String, String, Histogram)] = [
            ("vllm:time_to_first_token_seconds", "Time to first token.", h.timeToFirstToken),
            ("vllm:inter_token_latency_seconds", "Time between tokens.", h.interTokenLatency),
            ("vllm:time_per_output_token_seconds", "Old name of the time between tokens.", h.interTokenLatency),
            ("vllm:request_time_per_output_token_seconds", "Mean time per token of a request.", h.timePerOutputToken),
            ("vllm:e2e_request_latency_seconds", "End-to-end request latency.", h.endToEnd),
            ("vllm:request_queue_time_seconds", "Time in the waiting phase.", h.queueTime),
            ("vllm:request_inference_time_seconds", "Time in the running phase.", h.inferenceTime),
            ("vllm:request_prefill_time_seconds", "Time in the prefill phase.", h.prefillTime),
            ("vllm:request_decode_time_seconds", "Time in the decode phase.", h.decodeTime),
            ("vllm:iteration_tokens_total", "Tokens of a step.", h.iterationTokens),
            ("vllm:request_prompt_tokens", "Prefill tokens of a request.", h.promptTokens),
            ("vllm:request_generation_tokens", "Generation tokens of a request.", h.generatedTokens),
            ("vllm:request_max_num_generation_tokens", "Most tokens of a choice of a request.", h.generatedTokens),
            ("vllm:request_num_preemptions", "Preemptions of a request.", h.requestPreemptions),
            ("vllm:request_params_n", "Choices that a request asks for.", server.counts.choices),
            ("vllm:request_params_max_tokens", "Tokens that a request allows.", server.counts.maxTokens),
        ]
        for (name, help, histogram) in families { page.histogram(name, help, [(labels, histogram)]) }
    }

    private func writeOwn(into page: inout PrometheusWriter) {
        let s = statistics
        page.gauge("martlet:kv_blocks", "Blocks of the KV cache.", one(Double(s.blockCount)))
        page.gauge("martlet:kv_blocks_used", "Blocks that a sequence holds.", one(Double(s.usedBlockCount)))
        page.gauge("martlet:kv_blocks_cached", "Blocks that only hold a prefix.", one(Double(s.cachedBlockCount)))
        page.counter("martlet:steps", "Engine steps.", one(s.steps))
        page.counter("martlet:forward_seconds", "Time inside the model's operations.", one(s.forwardSeconds))
        page.counter("martlet:prefill_ahead_tokens", "Tokens prefilled before a request asked.", one(s.aheadTokens))
        page.counter("martlet:prefill_ahead_hit_tokens", "Of them, found by a request.", one(s.aheadHitTokens))
        page.counter("martlet:encoded_image_tokens", "Image tokens computed.", one(s.encodedImageTokens))
        page.counter(
            "martlet:integrity_failures", "Failed checks of the block accounting: a bug.", one(s.integrityFailures))
        let counts = server.counts
        page.counter("martlet:images", "Images received.", one(Double(counts.images)))
        page.counter("martlet:image_tokens", "Tokens of the images received.", one(Double(counts.imageTokens)))
        page.counter("martlet:images_fitted", "Images shrunk to fit the context.", one(Double(counts.fittedImages)))
    }
}
