import Foundation
import MartletCore
import MartletEngine

/// Requests as JSON lines, one object a line (docs/simulation.md). Strict: a key that is not known and a number that is
/// out of range are refused with the line they stand in.
enum RequestTrace {
    static let maxBytes = 512 << 20
    static let maxRequests = 1_000_000
    static let maxLineBytes = 4096
    static let maxTokens = 10_000_000

    /// Throws `UsageError`.
    static func read(_ path: String) throws(UsageError) -> [SimulatedRequest] {
        guard let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int,
            let data = FileManager.default.contents(atPath: path)
        else { throw UsageError("--simulate: \(path) is no file that can be read, nor agents:N[:STEPS].") }
        guard size <= maxBytes, data.count <= maxBytes else {
            throw UsageError("--simulate: \(path) is larger than \(maxBytes >> 20) MiB.")
        }
        return try requests([UInt8](data), file: path)
    }

    static func requests(_ bytes: [UInt8], file: String) throws(UsageError) -> [SimulatedRequest] {
        var requests: [SimulatedRequest] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
            func failure(_ reason: String) -> UsageError { UsageError("\(file), line \(index + 1): \(reason)") }
            guard line.count <= maxLineBytes else { throw failure("longer than \(maxLineBytes) bytes.") }
            guard requests.count < maxRequests else { throw failure("more than \(maxRequests) requests.") }
            let object: JSONObject
            do {
                guard let found = try JSONParser.parse(line).object else { throw failure("no JSON object.") }
                object = found
            } catch let error as JSONError {
                throw failure("\(error).")
            } catch let error as UsageError {
                throw error
            } catch {
                throw failure("\(error)")
            }
            requests.append(try request(object, failure))
        }
        guard !requests.isEmpty else { throw UsageError("\(file): no requests.") }
        return requests
    }

    private static let keys: Set<String> = [
        "arrival", "prompt_tokens", "output_tokens", "prefix", "prefix_tokens", "conversation", "conversation_tokens",
        "image_tokens",
    ]

    private static func request(
        _ object: JSONObject, _ failure: (String) -> UsageError
    ) throws(UsageError) -> SimulatedRequest {
        if let stranger = object.keys.first(where: { !keys.contains($0) }) {
            throw failure("'\(stranger.prefix(64))' is no key of a request: \(keys.sorted().joined(separator: ", ")).")
        }
        func count(_ key: String, _ range: ClosedRange<Int>) throws(UsageError) -> Int? {
            guard let value = object[key] else { return nil }
            guard let count = value.integer, range.contains(count) else {
                throw failure("\(key) is a whole number between \(range.lowerBound) and \(range.upperBound).")
            }
            return count
        }
        guard let arrival = object["arrival"]?.number, arrival >= 0, arrival <= 1e9 else {
            throw failure("arrival is in seconds, between 0 and 1,000,000,000.")
        }
        guard let prompt = try count("prompt_tokens", 1...maxTokens),
            let output = try count("output_tokens", 1...maxTokens)
        else { throw failure("prompt_tokens and output_tokens are missing.") }
        var request = SimulatedRequest(promptTokens: prompt, outputTokens: output)
        request.arrival = arrival
        request.imageTokens = try count("image_tokens", 0...maxTokens) ?? 0
        request.prefixTokens = try count("prefix_tokens", 0...maxTokens) ?? 0
        guard (object["prefix"] == nil) == (object["prefix_tokens"] == nil) else {
            throw failure("prefix and prefix_tokens go together.")
        }
        if let name = object["prefix"] { request.prefix = try hash(name, "prefix", failure) }
        let rest = prompt - request.prefixTokens - request.imageTokens
        if let name = object["conversation"] {
            request.conversation = try hash(name, "conversation", failure)
            let part = try count("conversation_tokens", 0...maxTokens)
            request.conversationTokens = part ?? max(0, rest)
            request.keepsAnswer = part == nil && request.imageTokens == 0
        } else if object["conversation_tokens"] != nil {
            throw failure("conversation_tokens without a conversation.")
        }
        guard request.sharedTokens + request.imageTokens <= prompt else {
            throw failure("prefix, conversation and image have more tokens than the prompt's \(prompt).")
        }
        return request
    }

    /// Names are text or whole numbers.
    private static func hash(
        _ name: JSONValue, _ key: String, _ failure: (String) -> UsageError
    ) throws(UsageError) -> UInt64 {
        guard let text = name.string ?? name.integer.map({ "\($0)" }) else {
            throw failure("\(key) is a name: text or a whole number.")
        }
        return Digest(of: text.utf8).words.x
    }
}
