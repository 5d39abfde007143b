import Foundation
import MartletCore
import MartletModels
import MartletServer
import MartletText
import MartletVision

extension FlagCatalogue {
    /// Pictures, templates and thoughts.
    static let chatFlags: [ServeFlag] = [
        .honours(
            "limit-mm-per-prompt", kind: .object, means: "Images a request may carry: {\"image\": 10}", standard: "16"
        ) {
            (settings, value) throws(UsageError) in
            for (key, limit) in value.object.entries {
                guard let count = limit.integer ?? limit["count"]?.integer, count >= 0 else {
                    throw UsageError("--limit-mm-per-prompt: '\(key)' needs a whole number.")
                }
                switch key {
                case "image": settings.server.limits.images = count
                // Requests with these are refused anyway.
                case "video", "audio": continue
                default: throw UsageError("--limit-mm-per-prompt: '\(key)' is none of image, video, audio.")
                }
            }
        },
        .honours(
            "mm-processor-kwargs", kind: .object, means: "Image size limits: {\"max_pixels\": 5000000}",
            standard: "the model's"
        ) {
            (settings, value) throws(UsageError) in try settings.model.readProcessorArguments(value.object)
        },
        .honours(
            "fit-images", kind: .toggle, means: "Shrink pictures whose prompt does not fit the context", standard: "on"
        ) {
            $0.server.fitsImages = $1.isOn
        },
        .honours(
            "max-image-pixels", kind: .count(1...(1 << 31)), means: "Pixels of one picture as it comes", standard: "40m"
        ) {
            $0.server.imageLimits.pixels = $1.count
        },
        .honours("allowed-local-media-path", means: "file: URLs may name files below this directory", standard: "none")
        {
            (settings, value) throws(UsageError) in
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: value.text, isDirectory: &isDirectory), isDirectory.boolValue
            else {
                throw UsageError("--allowed-local-media-path: \(value.text) is not a directory.")
            }
            settings.server.localMediaPath = value.text
        },
        .honours(
            "allowed-media-domains", kind: .strings,
            means: "Hosts that http(s) image URLs may name, exactly, at public addresses; HOST:PORT for ports "
                + "other than 80 and 443",
            standard: "none: nothing is fetched"
        ) { (settings, value) throws(UsageError) in
            settings.server.allowedMediaHosts = []
            for word in value.words {
                guard let host = ServerConfiguration.allowedMediaHost(word) else {
                    throw UsageError(
                        "--allowed-media-domains: '\(word)' is neither a host name nor a public address (no scheme, "
                            + "no path, no pattern; IDNs as punycode).")
                }
                settings.server.allowedMediaHosts.insert(host)
            }
        },
        .honours("chat-template", means: "A Jinja file to use instead of the model's", standard: "the model's") {
            (settings, value) throws(UsageError) in
            if value.text.contains("{{") || value.text.contains("{%") {
                settings.model.chatTemplate = (value.text, "--chat-template")
                return
            }
            guard let data = FileManager.default.contents(atPath: value.text), data.count <= 1 << 20 else {
                throw UsageError("--chat-template: \(value.text) cannot be read.")
            }
            settings.model.chatTemplate = (String(decoding: data, as: UTF8.self), value.text)
        },
        .honours(
            "chat-template-content-format", kind: .choice(ContentFormat.allCases.map(\.rawValue)),
            means: "How parts of a message reach the template", standard: "auto"
        ) { $0.server.contentFormat = ContentFormat(rawValue: $1.text) ?? .auto },
        .honours(
            "default-chat-template-kwargs", kind: .object, means: "Template arguments where a request gives none",
            standard: "none"
        ) {
            $0.server.templateArguments = $1.object
        },
        .honours(
            "reasoning-parser", kind: .choice(["glm4v", "glm41v", "glm45", "deepseek_r1", "qwen3"]),
            means: "Thoughts (<think>…</think>) go to `reasoning` unless a request says otherwise", standard: "off"
        ) { settings, _ in settings.reasoning = .separate },
        .honours(
            "reasoning-in-content", kind: .toggle,
            means:
                "Thoughts stay in `content` even when a request asks for them apart: for clients that read only that",
            standard: "off"
        ) { $0.server.keepsReasoningInContent = $1.isOn },
        .ignores(
            "mm-processor-cache-gb", kind: .number(0...1e6), means: "GiB of preprocessed pictures", standard: "4",
            because: "pictures are prepared in the process that computes."),
        .ignores(
            "mm-processor-cache-type", means: "How processes share pictures", standard: "lru",
            because: "pictures are prepared in the process that computes."),
        .honours(
            "mm-encoder-tp-mode", kind: .choice(["weights", "data"]),
            means: "How tensor parallel ranks share the vision tower: its weights, or the pictures",
            standard: "weights"
        ) { $0.model.parallel.towerMode = TowerMode(rawValue: $1.text) ?? .weights },
        .ignores(
            "skip-mm-profiling", kind: .toggle, means: "No profiling of the vision tower",
            because: "the vision tower is warmed up, not profiled."),
        .refuses(
            "mm-encoder-attn-dtype", means: "Precision of vision attention",
            because: "it follows from the device: on a CPU float32.", harmless: ["float32"]),
        .refuses(
            "language-model-only", kind: .toggle, means: "Do not load the vision tower",
            because: "a text-only GGUF file without its mmproj does the same."),
        .refuses(
            "interleave-mm-strings", kind: .toggle, means: "Keep a picture's place in the string format",
            because: "use --chat-template-content-format openai."),
        .refuses(
            "trust-request-chat-template", kind: .toggle, means: "Run templates that requests bring",
            because: "a request's template is never run."),
        .refuses(
            "trust-request-mm-kwargs", kind: .toggle, means: "Requests may set processor arguments",
            because: "set --mm-processor-kwargs."),
        .refuses(
            "tool-call-parser", means: "Reads tool calls out of the text", because: tools),
        .refuses(
            "enable-auto-tool-choice", kind: .toggle, means: "The model decides on tools", because: tools),
    ]

    private static let tools = "tool calls stay in the text, as the model writes them."
}

extension ModelOptions {
    /// The keys of --mm-processor-kwargs that Martlet knows. `max_pixels` counts 2 x height x width (API.md 0.7).
    mutating func readProcessorArguments(_ object: JSONObject) throws(UsageError) {
        for (key, value) in object.entries {
            switch key {
            case "min_pixels", "max_pixels": try setPixels(key, value)
            case "size":
                for (edge, limit) in value.object?.entries ?? [] {
                    switch edge {
                    case "shortest_edge": try setPixels("min_pixels", limit)
                    case "longest_edge": try setPixels("max_pixels", limit)
                    default: throw .notBuiltYet("mm-processor-kwargs", "'size.\(edge)' is not known.")
                    }
                }
            default:
                throw .notBuiltYet("mm-processor-kwargs", "'\(key)' is not known; min_pixels, max_pixels and size are.")
            }
        }
    }

    private mutating func setPixels(_ key: String, _ value: JSONValue) throws(UsageError) {
        guard let pixels = value.integer, pixels > 0, pixels <= 1 << 40 else {
            throw UsageError("--mm-processor-kwargs: '\(key)' must be a whole number above 0.")
        }
        processorArguments[key] = pixels
    }
}
