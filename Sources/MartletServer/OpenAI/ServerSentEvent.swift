import MartletCore

/// Frames of an event stream.
enum ServerSentEvent {
    static let done: [UInt8] = Array("data: [DONE]\n\n".utf8)
    /// A comment: clients skip it, idle timers on the way do not.
    static let keepAlive: [UInt8] = Array(": keep-alive\n\n".utf8)

    /// `data: ` + JSON + blank line.
    static func data(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("data: ")
        write(&writer)
        writer.raw("\n\n")
        return writer.bytes
    }

    /// An error after the head went out: the event, and the end of the stream.
    static func failure(_ error: APIError) -> [UInt8] {
        data { error.write(into: &$0) } + done
    }
}
