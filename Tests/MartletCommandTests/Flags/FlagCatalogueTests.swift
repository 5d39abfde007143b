import Foundation
import MartletCore
import Testing

@testable import MartletCommand

@Suite struct FlagCatalogueTests {
    /// Every name of vLLM's surface (API.md 2.1), each of a group by itself.
    static let surface = """
        model served-model-name tokenizer revision hf-config-path dtype tensor-parallel-size tp
        pipeline-parallel-size pp
        data-parallel-size dp data-parallel-rank data-parallel-address data-parallel-rpc-port
        data-parallel-size-local
        data-parallel-start-rank nnodes node-rank master-addr master-port distributed-executor-backend max-model-len
        gpu-memory-utilization kv-cache-memory-bytes max-num-seqs max-num-running-reqs max-num-batched-tokens
        max-num-queued-reqs max-num-queued-tokens block-size enable-prefix-caching prefix-caching-hash-algo
        enable-chunked-prefill long-prefill-token-threshold scheduling-policy watermark quantization q kv-cache-dtype
        swap-space cpu-offload-gb kv-offloading-size limit-mm-per-prompt mm-processor-kwargs mm-processor-cache-gb
        mm-processor-cache-type mm-encoder-tp-mode skip-mm-profiling mm-encoder-attn-dtype language-model-only
        allowed-local-media-path allowed-media-domains interleave-mm-strings chat-template chat-template-content-format
        default-chat-template-kwargs trust-request-chat-template trust-request-mm-kwargs reasoning-parser
        tool-call-parser enable-auto-tool-choice generation-config override-generation-config max-logprobs
        speculative-config enable-lora lora-modules max-loras max-lora-rank enforce-eager compilation-config cc
        cudagraph-capture-sizes load-format seed host port uds root-path api-key ssl-keyfile ssl-certfile ssl-ca-certs
        ssl-cert-reqs enable-ssl-refresh allowed-origins allowed-methods allowed-headers allow-credentials
        enable-request-id-headers disable-log-requests enable-log-requests disable-log-stats disable-uvicorn-access-log
        disable-access-log-for-endpoints uvicorn-log-level max-log-len enable-prompt-tokens-details
        enable-force-include-usage enable-per-request-metrics sse-keep-alive-interval otlp-traces-endpoint
        collect-detailed-traces show-hidden-metrics-for-version custom-histogram-buckets kv-cache-metrics
        api-server-count trust-remote-code device shutdown-timeout watchdog-timeout config
        fit-images prefill-next-turn mmap threads activations isa vllm-compat reasoning-in-content max-image-pixels
        """.split { $0 == " " || $0 == "\n" }.map(String.init)

    /// A value for every honoured flag that differs from its default.
    static let samples: [String: [String]] = [
        "served-model-name": ["a", "b"], "tokenizer": ["/t"], "dtype": ["half"], "load-format": ["dummy"],
        "max-model-len": ["4K"], "seed": ["7"], "generation-config": ["vllm"],
        "override-generation-config": ["{\"temperature\": 0.2}"], "max-logprobs": ["5"], "threads": ["3"],
        "isa": ["scalar"], "tensor-parallel-size": ["2"], "mm-encoder-tp-mode": ["data"],
        "pipeline-parallel-size": ["2"], "pipeline-layer-partition": ["18,22"],
        "data-parallel-size": ["2"], "data-parallel-size-local": ["1"],
        "distributed-executor-backend": ["mpi"], "rank-link-host": ["10.0.0.1"],
        "activations": ["f32"], "quantization": ["int4"], "mmap": ["no"],
        "device": ["cuda"], "gpu-memory-utilization": ["0.5"], "enforce-eager": [],
        "max-num-seqs": ["4"], "max-num-batched-tokens": ["1k"], "max-num-queued-reqs": ["9"],
        "max-num-queued-tokens": ["2M"], "kv-cache-memory-bytes": ["1G"], "kv-cache-dtype": ["float32"],
        "block-size": ["32"], "enable-prefix-caching": ["no"], "enable-chunked-prefill": ["no"],
        "long-prefill-token-threshold": ["128"], "scheduling-policy": ["priority"],
        "speculative-config": ["{\"method\": \"ngram\", \"num_speculative_tokens\": 4}"],
        "limit-mm-per-prompt": ["{\"image\": 2}"], "mm-processor-kwargs": ["{\"max_pixels\": 5000000}"],
        "fit-images": ["no"], "max-image-pixels": ["1m"], "allowed-local-media-path": ["/tmp"],
        "prefill-next-turn": ["no"], "allowed-media-domains": ["a.test", "b.test:8080"],
        "chat-template": ["{{ messages }}"], "chat-template-content-format": ["string"],
        "default-chat-template-kwargs": ["{\"enable_thinking\": false}"], "reasoning-parser": ["glm45"],
        "reasoning-in-content": [], "host": ["127.0.0.1"], "port": ["8001"], "api-key": ["k"],
        "allowed-origins": ["[\"*\"]"], "allowed-methods": ["GET"], "allowed-headers": ["x-a"],
        "allow-credentials": [], "enable-request-id-headers": ["no"], "sse-keep-alive-interval": ["0"],
        "shutdown-timeout": ["5"], "watchdog-timeout": ["0"], "enable-force-include-usage": [],
        "enable-log-requests": [], "max-log-len": ["4"], "disable-log-stats": [], "disable-uvicorn-access-log": [],
        "disable-access-log-for-endpoints": ["/health,/metrics"], "uvicorn-log-level": ["error"],
    ]

    /// Settings that tell nothing of what was given, for comparison.
    private func plain(_ arguments: [String]) throws -> String {
        var settings = try FlagReader(["m"] + arguments).settings(environment: [:])
        settings.given = []
        settings.remarks = []
        var text = ""
        dump(settings, to: &text)
        return text
    }

    private func line(_ flag: ServeFlag, _ values: [String]) -> [String] {
        values == ["no"] ? ["--no-\(flag.name)"] : ["--\(flag.name)"] + values
    }

    @Test func knowsTheWholeSurface() {
        for name in Self.surface { #expect(FlagCatalogue.flag(named: name) != nil, "\(name)") }
        let names = FlagCatalogue.flags.flatMap(\.names)
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0 == FlagCatalogue.canonical($0) && !$0.hasPrefix("no-") })
    }

    @Test func honouredFlagsChangeWhatIsServed() throws {
        let standard = try plain([])
        for flag in FlagCatalogue.flags {
            guard case .honoured = flag.status else { continue }
            // These change the reading of the command line, which FlagReaderTests shows.
            if ["model", "config", "vllm-compat"].contains(flag.name) { continue }
            if flag.name == "disable-log-requests" {
                #expect(try plain(["--enable-log-requests", "--disable-log-requests"]) == standard)
                continue
            }
            let values = try #require(Self.samples[flag.name], "no sample for --\(flag.name)")
            var arguments = line(flag, values)
            if flag.name == "enable-chunked-prefill" {
                arguments += ["--max-model-len", "256"]
                #expect(try plain(["--max-model-len", "256"]) != plain(arguments))
                continue
            }
            #expect(try plain(arguments) != standard, "--\(flag.name) changes nothing")
        }
    }

    @Test func inertFlagsAreToldAndChangeNothing() throws {
        let standard = try plain([])
        for flag in FlagCatalogue.flags {
            guard case .inert = flag.status else { continue }
            let arguments = line(flag, value(for: flag))
            #expect(try plain(arguments) == standard)
            let remarks = try FlagReader(["m"] + arguments).settings(environment: [:]).remarks
            #expect(remarks.contains { $0.hasPrefix("--\(flag.name) has no effect here: ") }, "--\(flag.name)")
        }
    }

    @Test func refusedFlagsAreNamed() throws {
        for flag in FlagCatalogue.flags {
            guard case .refused(_, let harmless) = flag.status else { continue }
            var values = value(for: flag)
            if case .choice(let words) = flag.kind {
                values = [words.first { !harmless.contains($0.lowercased()) } ?? ""]
            }
            do {
                _ = try FlagReader(["m"] + line(flag, values)).settings(environment: [:])
                Issue.record("--\(flag.name) was taken")
            } catch {
                let (text, code) = CommandLineEntry.report(error)
                #expect(text.contains("--\(flag.name)") && text.contains(": not built yet: "), "\(text)")
                #expect(code == 2)
            }
            for value in harmless where flag.kind != .toggle {
                let harmlessLine = ["m", "--\(flag.name)=\(value)"]
                #expect(throws: Never.self) { try FlagReader(harmlessLine).settings(environment: [:]) }
            }
        }
    }

    private func value(for flag: ServeFlag) -> [String] {
        switch flag.kind {
        case .toggle: []
        case .text, .words, .strings: ["x"]
        case .choice(let words): [words[0]]
        case .count(let range): ["\(min(range.upperBound, 2))"]
        case .number(let range): ["\(range.upperBound)"]
        case .object: ["{\"a\": 1}"]
        }
    }

    @Test func docsAreThePrintedTable() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
        let page = try String(contentsOf: root.appendingPathComponent("docs/flags.md"), encoding: .utf8)
        #expect(page == FlagTable.markdown, "run `make docs`")
    }

    @Test func suggestsWhatWasMeant() {
        #expect(FlagCatalogue.suggestion(for: "prot") == "port")
        #expect(FlagCatalogue.suggestion(for: "max_model_length") == "max-model-len")
        #expect(FlagCatalogue.suggestion(for: "served-model") == "served-model-name")
        #expect(FlagCatalogue.suggestion(for: "zzzzzz") == nil)
    }

    @Test(arguments: [("", "abc", 3), ("kitten", "sitting", 3), ("port", "port", 0), ("ab", "ba", 2)])
    func measuresEdits(left: String, right: String, distance: Int) {
        #expect(FlagCatalogue.editDistance(left, right) == distance)
    }

    @Test func helpNamesEveryFlagThatIsTaken() {
        for flag in FlagCatalogue.flags {
            if case .refused = flag.status { continue }
            #expect(ServeHelp.text.contains("--\(flag.name)"))
        }
    }
}
