import MartletEngine
import MartletServer
import MartletTensor

extension FlagCatalogue {
    /// Memory of the KV cache, and who runs when.
    static let schedulingFlags: [ServeFlag] = [
        .honours(
            "max-num-seqs", kind: .count(1...1024), means: "Sequences that run at once in an engine",
            standard: "16; 64 on a GPU"
        ) {
            $0.model.maxRunningSequences = $1.count
        },
        .honours(
            "max-num-batched-tokens", kind: .count(1...65536), means: "Tokens of one step",
            standard: "512; 2048 on a GPU"
        ) {
            $0.model.maxBatchedTokens = $1.count
        },
        .honours(
            "max-num-queued-reqs", kind: .count(1...1_000_000),
            means: "Waiting requests of an engine; 503 is answered when all engines have as many", standard: "256"
        ) {
            $0.engine.maxWaitingRequests = $1.count
        },
        .honours(
            "max-num-queued-tokens", kind: .count(1...(1 << 40)),
            means: "Waiting prompt tokens of an engine, in the same way",
            standard: "4000000"
        ) { $0.engine.maxWaitingTokens = $1.count },
        .honours(
            "kv-cache-memory-bytes", kind: .count(1...(1 << 50)),
            means: "Size of the KV cache, of all engines together",
            standard: "a quarter of the free memory; of a GPU what --gpu-memory-utilization leaves"
        ) {
            $0.model.cacheBytes = $1.count
        },
        .honours(
            "kv-cache-dtype", kind: .choice(cacheTypes), means: "Precision of the KV cache",
            standard: "auto: as the weights"
        ) {
            $0.model.cacheType = DType.cacheTypes[$1.text]
            guard $1.text.hasPrefix("fp8") else { return }
            $0.remarks.append(
                "--kv-cache-dtype \($1.text): keys and values are kept as int8 with a scale for every head and token.")
        },
        .honours("block-size", kind: .count(1...256), means: "Tokens of a KV block: a multiple of 16", standard: "16") {
            (settings, value) throws(UsageError) in
            guard value.count % 16 == 0 else {
                throw UsageError("--block-size: \(value.count) is no multiple of 16.")
            }
            settings.model.blockSize = value.count
        },
        .honours(
            "enable-prefix-caching", kind: .toggle, means: "Reuse the KV of prompts that begin alike", standard: "on"
        ) {
            $0.engine.enablePrefixCaching = $1.isOn
        },
        .honours(
            "prefill-next-turn", kind: .toggle,
            means: "After an agent's step, prefill what its next request begins with while the engine has room",
            standard: "on"
        ) {
            $0.server.prefillsNextTurn = $1.isOn
        },
        .honours(
            "enable-chunked-prefill", kind: .toggle, means: "Prefill long prompts over several steps", standard: "on"
        ) {
            $0.engine.enableChunkedPrefill = $1.isOn
        },
        .honours(
            "long-prefill-token-threshold", kind: .count(0...65536),
            means: "Most tokens of one prompt in a step; 0 = no limit", standard: "0"
        ) {
            $0.engine.longPrefillTokens = $1.count == 0 ? nil : $1.count
        },
        .honours(
            "scheduling-policy", kind: .choice(["fcfs", "priority"]),
            means: "Who goes first; priority reads the request's field", standard: "fcfs"
        ) {
            $0.engine.schedulingPolicy = SchedulingPolicy(rawValue: $1.text) ?? .firstComeFirstServed
        },
        .honours(
            "gpu-memory-utilization", kind: .number(0...1),
            means: "Share of each GPU's memory to use: what weights and pictures leave of it becomes KV cache",
            standard: "0.92"
        ) {
            $0.model.deviceMemoryShare = $1.number
        },
        .ignores(
            "prefix-caching-hash-algo", means: "Hash of KV blocks", standard: "sha256",
            because: "blocks are always keyed by SHA-256."),
        .ignores(
            "swap-space", kind: .number(0...1e6), means: "GiB of host memory for swapped sequences",
            because: "nothing is swapped: a preempted sequence is computed again."),
        .refuses(
            "max-num-running-reqs", kind: .count(1...1024), means: "Admission below --max-num-seqs",
            because: "lower --max-num-seqs instead."),
        .refuses(
            "watermark", kind: .number(0...1), means: "KV share to keep free", standard: "0",
            because: "a sequence is preempted when the cache is full, and computed again.", harmless: ["0"]),
        .refuses(
            "cpu-offload-gb", kind: .number(0...1e6), means: "GiB of weights in host memory", standard: "0",
            because: "weights stay where they are multiplied. --quantization int8 or int4 makes them smaller.",
            harmless: ["0"]),
        .refuses(
            "kv-offloading-size", kind: .number(0...1e6), means: "GiB of KV in host memory",
            because: "the cache stays where it is read. --kv-cache-dtype int8 makes room for twice the tokens.",
            harmless: ["0"]),
    ]

    private static let cacheTypes = [
        "auto", "f16", "half", "float16", "bf16", "bfloat16", "f32", "float32", "fp8", "fp8_e4m3", "fp8_e5m2", "int8",
    ]
}
