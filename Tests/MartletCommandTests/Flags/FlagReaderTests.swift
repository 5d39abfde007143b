import Foundation
import MartletCore
import MartletModels
import MartletServer
import MartletText
import MartletTensor
import MartletVision
import MartletEngine
import Logging
import Testing

@testable import MartletCommand

@Suite struct FlagReaderTests {
    private func settings(_ line: String) throws -> ServeSettings {
        try FlagReader(line.split(separator: " ").map(String.init)).settings(environment: [:])
    }

    private func failure(_ arguments: [String]) -> String {
        do throws(UsageError) {
            _ = try FlagReader(arguments).settings(environment: [:])
            return ""
        } catch { return error.description }
    }

    @Test func officialRecipe() throws {
        let settings = try FlagReader([
            "--served-model-name", "autoglm-phone-9b", "--allowed-local-media-path", "/",
            "--mm-encoder-tp-mode", "data",
            "--mm_processor_cache_type", "shm", "--mm_processor_kwargs", "{\"max_pixels\":5000000}", "--max-model-len",
            "25480", "--chat-template-content-format", "string", "--limit-mm-per-prompt", "{\"image\":10}", "--model",
            "zai-org/AutoGLM-Phone-9B", "--port", "8000",
        ]).settings(environment: [:])
        #expect(settings.model.model == "zai-org/AutoGLM-Phone-9B")
        #expect(settings.names == ["autoglm-phone-9b"])
        #expect(settings.model.maxModelLength == 25480)
        #expect(settings.model.processorArguments == ["max_pixels": 5_000_000])
        #expect(settings.server.limits.images == 10)
        #expect(settings.server.contentFormat == .string)
    }

    @Test func pageOfTheUser() throws {
        let settings = try settings(
            "--model autoglm-phone-9b --tensor-parallel-size 1 --dtype half --max-model-len 4096 "
                + "--gpu-memory-utilization 0.9 --host 0.0.0.0 --port 8000")
        #expect(settings.model.dtype == .f16)
        #expect(settings.names == ["autoglm-phone-9b"])
        #expect(settings.model.deviceMemoryShare == 0.9)
    }

    @Test(arguments: ["m --max-num-seqs 4", "m --max_num_seqs 4", "--max-num-seqs=4 m", "--max_num_seqs=4 --model m"])
    func spellings(line: String) throws {
        let settings = try settings(line)
        #expect(settings.model.model == "m")
        #expect(settings.engine.maxRunningSequences == 4)
    }

    @Test func listsEndAtTheNextFlag() throws {
        let settings = try settings(
            "m --served-model-name a b c --api-key k1 k2 --allowed-origins [\"http://x\"] --port 1")
        #expect(settings.names == ["a", "b", "c"])
        #expect(settings.server.apiKeys == ["k1", "k2"])
        #expect(settings.server.cors.origins == ["http://x"])
        #expect(settings.server.port == 1)
    }

    @Test func togglesAndTheirNegations() throws {
        #expect(try settings("m").engine.enablePrefixCaching)
        #expect(try !settings("m --no-enable-prefix-caching").engine.enablePrefixCaching)
        #expect(try !settings("m --no_enable_prefix_caching").engine.enablePrefixCaching)
        #expect(try !settings("m --enable-prefix-caching=false").engine.enablePrefixCaching)
        #expect(try settings("m --no-enable-prefix-caching --enable-prefix-caching").engine.enablePrefixCaching)
        #expect(failure(["m", "--enable-prefix-caching=maybe"]).contains("is a switch"))
        #expect(failure(["m", "--no-port"]).contains("unrecognized argument: --no-port"))
    }

    @Test func lengths() throws {
        #expect(try settings("m --max-model-len 25.6k").model.maxModelLength == 25600)
        #expect(try settings("m --max-model-len 4K").model.maxModelLength == 4096)
        #expect(try settings("m --max-model-len auto").model.maxModelLength == nil)
        #expect(try settings("m --max-model-len -1").model.maxModelLength == nil)
        #expect(failure(["m", "--max-model-len", "0"]).contains("--max-model-len"))
        #expect(failure(["m", "--max-model-len", "many"]).contains("'many' is not a whole number"))
        #expect(failure(["m", "--port", "65536"]).contains("not between 0 and 65535"))
    }

    @Test func cacheTypes() throws {
        #expect(try settings("m --kv-cache-dtype auto").model.cacheType == nil)
        #expect(try settings("m --kv-cache-dtype bfloat16").model.cacheType == .bf16)
        #expect(try settings("m --kv-cache-dtype int8").model.cacheType == .q8_0)
        #expect(try settings("m --kv-cache-dtype fp8 --kv-cache-dtype auto").model.cacheType == nil)
    }

    /// 8-bit floats that others compute with are 8-bit integers here, and it is said.
    @Test(arguments: ["--kv-cache-dtype fp8", "--kv-cache-dtype fp8_e4m3", "--quantization fp8", "-q int8"])
    func eightBits(words: String) throws {
        let found = try settings("m \(words)")
        #expect(found.model.cacheType == (words.hasPrefix("--kv") ? .q8_0 : nil))
        #expect(found.model.quantization == (words.hasPrefix("--kv") ? .none : .int8))
        #expect(found.remarks.contains { $0.contains("int8 with a scale") } == words.contains("fp8"))
    }

    @Test func objects() throws {
        #expect(try settings("m --limit-mm-per-prompt image=3,video=1").server.limits.images == 3)
        #expect(try settings("m --limit-mm-per-prompt.image 4").server.limits.images == 4)
        #expect(try settings("m --limit-mm-per-prompt {\"image\":{\"count\":5}}").server.limits.images == 5)
        #expect(failure(["m", "--limit-mm-per-prompt", "{broken"]).contains("is not a JSON object"))
        #expect(failure(["m", "--limit-mm-per-prompt", "{\"smell\":1}"]).contains("'smell'"))
        #expect(
            failure(["m", "--mm-processor-kwargs", "{\"do_rescale\":true}"]).contains("not built yet: 'do_rescale'"))
        #expect(failure(["m", "--mm-processor-kwargs", "{\"max_pixels\":-1}"]).contains("max_pixels"))
        #expect(failure(["m", "--override-generation-config", "{\"beams\":2}"]).contains("'beams'"))
    }

    @Test func shortNames() throws {
        #expect(try settings("m -tp 1 -pp 1 -dp 1 -q gguf").model.model == "m")
        #expect(try settings("m -tp 2").model.parallel.tensor == 2)
        #expect(try settings("m -pp 2").model.parallel.pipeline == 2)
        #expect(try settings("m -pp 2 --pipeline-layer-partition 18,22").model.parallel.layerPartition == [18, 22])
        #expect(failure(["m", "--pipeline-layer-partition", "18,x"]).contains("is no list of layers such as 18,22"))
        #expect(failure(["m", "-q", "awq"]).contains("GGUF file of the model runs today"))
    }

    @Test func unknownFlags() throws {
        #expect(failure(["m", "--prot", "1"]).contains("unrecognized argument: --prot. Did you mean --port?"))
        #expect(failure(["m", "--quux"]).contains("unrecognized argument: --quux."))
        let lenient = try settings("m --quux 1 2 --port 81 --vllm-compat warn --other=3")
        #expect(lenient.server.port == 81)
        #expect(lenient.remarks.filter { $0.contains("unknown and was skipped") }.count == 2)
        // What Martlet knows and does not do stays an error: TLS that is not there must not be believed in.
        #expect(failure(["m", "--vllm-compat", "warn", "--ssl-keyfile", "k"]).contains("not built yet"))
    }

    @Test func modelAndOtherWords() {
        #expect(failure([]).contains("Which model?"))
        #expect(failure(["a", "b"]).contains("Unexpected argument 'b'"))
        #expect(failure(["a", "--model", "b"]).contains("named twice"))
        #expect(failure(["m", "--port"]).contains("--port needs a value"))
        #expect(failure(["m", "--port", "--host", "x"]).contains("--port needs a value"))
    }

    @Test func flagsThatNeedEachOther() {
        #expect(
            failure(["m", "--max-num-seqs", "64", "--max-num-batched-tokens", "32"]).contains("below --max-num-seqs"))
        #expect(failure(["m", "--no-enable-chunked-prefill"]).contains("needs --max-model-len"))
        #expect(failure(["m", "--block-size", "24"]).contains("multiple of 16"))
    }

    @Test func configurationFileBelowTheCommandLine() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID()).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("model: m\nport: 1234\nmax_num_seqs: 3\nenable-prefix-caching: false\n".utf8).write(to: file)
        let settings = try FlagReader(["--config", file.path, "--port", "99"]).settings(environment: [:])
        #expect(settings.model.model == "m")
        #expect(settings.server.port == 99)
        #expect(settings.engine.maxRunningSequences == 3)
        #expect(!settings.engine.enablePrefixCaching)
        #expect(failure(["m", "--config", "/nowhere.yaml"]).contains("/nowhere.yaml cannot be read"))
    }

    @Test func logOfWhatWasGiven() throws {
        let settings = try settings("m --api-key secret --port 81 --enable-log-requests --served-model-name a b")
        #expect(
            settings.nonDefaultArguments
                == "{'model': 'm', 'api_key': ['***'], 'port': 81, 'enable_log_requests': True, "
                + "'served_model_name': ['a', 'b']}")
    }

    @Test func readsTheHostsThatMayBeFetchedFrom() throws {
        for line in ["A.test b.test:8080", "[\"a.test\",\"b.test:8080\"]"] {
            let server = try settings("m --allowed-media-domains \(line)").server
            #expect(server.allowedMediaHosts == ["a.test", "b.test:8080"])
        }
        #expect(try settings("m").server.allowedMediaHosts.isEmpty)
        for host in ["http://a.test", "*.test", "127.0.0.1", "[::1]", "a.test/x"] {
            #expect(throws: UsageError.self) { try settings("m --allowed-media-domains \(host)") }
        }
    }

    @Test func environment() throws {
        let environment = [
            "VLLM_API_KEY": "e", "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_LOG_STATS_INTERVAL": "3",
            "VLLM_LOGGING_LEVEL": "DEBUG", "VLLM_CPU_OMP_THREADS_BIND": "0-2,7", "VLLM_MAX_IMAGE_PIXELS": "1000",
            "VLLM_HTTP_MAX_REQUEST_BODY_SIZE": "4096", "CUDA_VISIBLE_DEVICES": "0,1",
            "VLLM_IMAGE_FETCH_TIMEOUT": "7", "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        ]
        let settings = try FlagReader(["m"]).settings(environment: environment)
        #expect(settings.server.apiKeys == ["e"])
        #expect(settings.model.cacheBytes == 2 << 30)
        #expect(settings.server.statisticsSeconds == 3)
        #expect(settings.logLevel == .debug)
        #expect(settings.model.threads == 4)
        #expect(settings.server.imageLimits.pixels == 1000)
        #expect(settings.server.limits.bodyBytes == 4096)
        #expect(settings.server.fetchSeconds == 7 && settings.server.fetchRedirects == 0)
        let standard = try FlagReader(["m"]).settings(environment: ["VLLM_MEDIA_URL_ALLOW_REDIRECTS": "1"])
        #expect(standard.server.fetchSeconds == 5 && standard.server.fetchRedirects == 3)
        #expect(try FlagReader(["m", "--api-key", "f"]).settings(environment: environment).server.apiKeys == ["f"])
        let wrong = [
            ("VLLM_LOG_STATS_INTERVAL", "x"), ("VLLM_LOGGING_LEVEL", "loud"), ("VLLM_CPU_OMP_THREADS_BIND", "3-1"),
            ("VLLM_CPU_NUM_OF_RESERVED_CPU", "-1"),
            ("VLLM_IMAGE_FETCH_TIMEOUT", "0"), ("VLLM_MEDIA_URL_ALLOW_REDIRECTS", "maybe"),
        ]
        for (name, value) in wrong {
            do throws(UsageError) {
                _ = try FlagReader(["m"]).settings(environment: [name: value])
                Issue.record("\(name)=\(value) was taken")
            } catch { #expect(error.description.hasPrefix("\(name): ")) }
        }
    }
}
