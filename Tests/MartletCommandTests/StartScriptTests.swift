import Foundation
import Testing

/// `run_autoglm_server.sh` with a program that prints its arguments in the place of the server.
@Suite struct StartScriptTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL

    private func run(
        _ arguments: [String], environment: [String: String] = [:], shell: String = "/bin/bash", gpus: Int = 0
    ) throws -> (words: [String], code: Int32) {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-script-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let program = directory.appendingPathComponent("martlet")
        try Data("#!/bin/sh\nprintf '%s\\n' \"$@\"\n".utf8).write(to: program)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
        let list = directory.appendingPathComponent("nvidia-smi")
        let lines = (0..<gpus).map { "echo 'GPU \($0): a card'" }
        try Data((["#!/bin/sh"] + lines + ["exit \(gpus == 0 ? 9 : 0)\n"]).joined(separator: "\n").utf8).write(to: list)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: list.path)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: shell)
        process.arguments = [Self.root.appendingPathComponent("run_autoglm_server.sh").path] + arguments
        let folder = directory.path
        process.environment = ["PATH": "\(folder):/usr/bin:/bin", "HOME": folder, "MARTLET_BINARY": program.path]
            .merging(environment) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = Pipe()
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (text.split(separator: "\n").map(String.init), process.terminationStatus)
    }

    private static let defaults = [
        "--served-model-name", "autoglm-phone-9b", "--host", "0.0.0.0", "--port", "8000", "--max-model-len", "4096",
        "--tensor-parallel-size", "1",
    ]

    @Test(arguments: ["/bin/bash", "/bin/sh"]) func defaultsBehindAModel(shell: String) throws {
        let (words, code) = try run(["--model", "m"], shell: shell)
        #expect(code == 0)
        #expect(words == ["serve", "--model", "m"] + Self.defaults)
        #expect(try run(["m"], shell: shell).words == ["serve", "m"] + Self.defaults)
    }

    @Test func whatIsGivenStays() throws {
        let given = [
            "--model=m x", "--port=1", "--max_model_len", "9", "--served_model_name", "a", "--host", "::1", "-tp", "1",
        ]
        #expect(try run(given).words == ["serve"] + given)
    }

    @Test func visibleGPUsShareTheModel() throws {
        let two = ["CUDA_VISIBLE_DEVICES": "0,1"]
        let defaults = Array(Self.defaults.dropLast())
        #expect(try run(["m"], environment: two, gpus: 2).words == ["serve", "m"] + defaults + ["2"])
        #expect(try run(["m"], gpus: 2).words == ["serve", "m"] + Self.defaults)
        let one = try run(["m", "-tp", "1"], environment: two, gpus: 2).words
        #expect(one == ["serve", "m", "-tp", "1"] + defaults.dropLast())
        // The small model's heads cannot be shared out.
        #expect(try run([], environment: two, gpus: 2).words.suffix(2) == ["--tensor-parallel-size", "1"])
        let none = try run(["m"], environment: ["CUDA_VISIBLE_DEVICES": "-1"], gpus: 2).words
        #expect(none == ["serve", "m"] + Self.defaults)
    }

    @Test func visibleGPUsThatAreNotThere() throws {
        let environment = ["CUDA_VISIBLE_DEVICES": "0,1"]
        let given = ["m", "--tensor-parallel-size", "2", "--dtype", "half"]
        #expect(try run(given, environment: environment).words == ["serve", "m", "--dtype", "half"] + Self.defaults)
        let plain = ["serve", "m"] + Self.defaults
        #expect(try run(["m", "--tensor_parallel_size=2"], environment: environment).words == plain)
        #expect(try run(["m", "-tp", "2"], environment: environment).words == plain)
    }

    @Test func aWrongProgramIsNamed() throws {
        #expect(try run(["m"], environment: ["MARTLET_BINARY": "/nowhere"]).code == 1)
    }
}
