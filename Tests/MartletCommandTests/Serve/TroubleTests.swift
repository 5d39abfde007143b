import Foundation
import MartletEngine
import MartletModels
import MartletServer
import MartletTensor
import Testing

@testable import MartletCommand

/// The user's page has a list of troubles; each is answered by the server's own words.
@Suite struct TroubleTests {
    @Test func portIsTaken() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 1) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        try #require(isBound)
        let port = Int(UInt16(bigEndian: address.sin_port))
        do throws(ServerStartError) {
            try PortCheck.run(host: "127.0.0.1", port: port)
            Issue.record("port \(port) is taken, and nobody said so")
        } catch {
            #expect(error.description.hasPrefix("Port \(port) on 127.0.0.1 is already in use."))
            #expect(error.description.contains("--port"))
            #expect(CommandLineEntry.report(error).code == 1)
        }
    }

    @Test func portIsFree() {
        #expect(throws: Never.self) { try PortCheck.run(host: "127.0.0.1", port: 0) }
    }

    @Test func noAddressOfThisMachine() {
        #expect(throws: ServerStartError.self) { try PortCheck.run(host: "192.0.2.1", port: 18999) }
    }

    @Test func modelIsNotFound() {
        var options = ModelOptions()
        options.model = "zai-org/AutoGLM-Phone-9B"
        do {
            _ = try ModelAssembly.load(options, environment: ["HOME": "/nowhere"]) { _ in }
            Issue.record("found a model in /nowhere")
        } catch {
            let (text, code) = CommandLineEntry.report(error)
            #expect(code == 1)
            #expect(text.contains("/nowhere/.cache/huggingface/hub/models--zai-org--AutoGLM-Phone-9B"))
            #expect(text.contains("hf download zai-org/AutoGLM-Phone-9B"))
        }
    }

    @Test func outOfMemory() {
        let error = AssemblyError.weightsExceedMemory(weights: 20 << 30, available: 8 << 30)
        #expect(error.description.contains("take 20.0 GiB and the machine has 8.0 GiB left: out of memory"))
        #expect(error.description.contains("martlet plan"))
    }

    @Test func noRoomForABlock() throws {
        var options = ModelOptions()
        options.cacheBytes = 1000
        let plan = CachePlan(options: options, cacheBytesPerToken: 1000, modelLength: 65536, budget: nil)
        #expect(throws: AssemblyError.cacheTooSmall(tokens: 0, asked: nil)) {
            try plan.limits(vocabularyCount: 1000)
        }
    }

    @Test func contextBeyondTheCache() throws {
        var options = ModelOptions()
        options.maxModelLength = 4096
        options.cacheBytes = 1 << 20
        let configuration = try Shapes.autoGLM()
        let plan = CachePlan(
            options: options, cacheBytesPerToken: ModelFootprint(configuration).cacheBytesPerToken(.bf16),
            modelLength: 65536,
            budget: 2 << 30)
        do throws(AssemblyError) {
            _ = try plan.limits(vocabularyCount: 1000)
            Issue.record("4096 tokens do not fit 1 MiB")
        } catch {
            #expect(error.description.contains("holds 16 tokens and --max-model-len asks for 4096"))
            #expect(error.description.contains("Lower --max-model-len"))
        }
    }

}
