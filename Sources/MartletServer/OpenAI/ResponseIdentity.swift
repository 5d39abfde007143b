import MartletCore

/// What every chunk and body of one answer begins with.
struct ResponseIdentity: Sendable {
    /// `chatcmpl-…` or `cmpl-…`.
    let id: String
    /// Seconds since 1970.
    let created: Int
    /// The name the model is served under.
    let model: String

    /// `{"id":…,"object":…,"created":…,"model":…,"system_fingerprint":…` and a comma: written once a request.
    func prefix(object: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("{\"id\":")
        writer.string(id)
        writer.raw(",\"object\":\"\(object)\",\"created\":\(created),\"model\":")
        writer.string(model)
        writer.raw(",\"system_fingerprint\":\"\(MartletVersion.fingerprint)\",")
        return writer.bytes
    }
}
