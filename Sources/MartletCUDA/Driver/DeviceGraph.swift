import CCUDA

/// Work of a stream, written down once and put there again as a whole.
final class DeviceGraph {
    private let executable: CUgraphExec
    private let stream: DeviceStream

    /// Writes down what `body` puts on the stream; nothing of it runs. Throws what `body` throws.
    init(on stream: DeviceStream, _ body: () throws -> Void) throws {
        let library = stream.library
        // Of this thread alone: other ranks of the process go on.
        try library.check(
            library.api.cuStreamBeginCapture(stream.handle, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
            "cuStreamBeginCapture")
        var graph: CUgraph?
        do {
            try body()
        } catch {
            _ = library.api.cuStreamEndCapture(stream.handle, &graph)
            if let graph { _ = library.api.cuGraphDestroy(graph) }
            throw error
        }
        let code = library.api.cuStreamEndCapture(stream.handle, &graph)
        defer { if let graph { _ = library.api.cuGraphDestroy(graph) } }
        try library.check(code, "cuStreamEndCapture")
        guard let graph else { throw CUDAError.failed(call: "cuStreamEndCapture", code: 0, name: "no graph") }
        var executable: CUgraphExec?
        try library.check(library.api.cuGraphInstantiateWithFlags(&executable, graph, 0), "cuGraphInstantiate")
        guard let executable else { throw CUDAError.failed(call: "cuGraphInstantiate", code: 0, name: "no graph") }
        self.executable = executable
        self.stream = stream
    }

    deinit {
        stream.settle()
        _ = stream.library.api.cuGraphExecDestroy(executable)
    }

    func launch() throws(CUDAError) {
        try stream.library.check(stream.library.api.cuGraphLaunch(executable, stream.handle), "cuGraphLaunch")
    }
}
