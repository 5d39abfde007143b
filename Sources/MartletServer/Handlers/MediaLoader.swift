import Foundation
import MartletVision

/// Turns a media URL of a request into bytes without the network: `data:` always; `file:` only below the allowed
/// directory. What is remote is `MediaFetcher`'s.
struct MediaLoader: Sendable {
    let localMediaPath: String?
    let imageLimits: ImageLimits

    /// Whether `url` is one for `MediaFetcher`.
    static func isRemote(_ url: String) -> Bool { ["http", "https"].contains(scheme(of: url)) }

    private static func scheme(of url: String) -> String { url.prefix { $0 != ":" }.lowercased() }

    /// Blocking. Throws a 400 that says what is allowed.
    func bytes(of url: String) throws(APIError) -> [UInt8] {
        if DataURL.isDataURL(url) {
            do { return try DataURL(url, maxBytes: imageLimits.compressedBytes).bytes } catch { throw APIError(error) }
        }
        guard Self.scheme(of: url) == "file" else { throw .unknownScheme() }
        return try localBytes(of: url)
    }

    /// `file:///absolute/path`, percent-decoded once. What counts is where the path leads after all links.
    private func localBytes(of url: String) throws(APIError) -> [UInt8] {
        guard let localMediaPath else { throw .localMediaOff }
        let rest = url.dropFirst("file:".count)
        let path = rest.hasPrefix("//localhost/") ? rest.dropFirst("//localhost".count)
            : rest.hasPrefix("///") ? rest.dropFirst(2) : rest.hasPrefix("//") ? "" : rest
        guard path.hasPrefix("/"), let decoded = String(path).removingPercentEncoding, !decoded.utf8.contains(0),
            let root = Self.realPath(localMediaPath), let file = Self.realPath(decoded),
            file.hasPrefix(root.hasSuffix("/") ? root : root + "/")
        else { throw .outsideLocalMedia }
        return try read(file)
    }

    /// Opens without following a link that appeared since, and without waiting for a pipe's other end.
    private func read(_ path: String) throws(APIError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw .outsideLocalMedia }
        defer { close(descriptor) }
        // The end's offset, not `stat`: NIO's C modules claim that type as theirs. Pipes have no end, devices none
        // worth a picture, and a directory cannot be read.
        let size = Int(lseek(descriptor, 0, SEEK_END))
        guard size > 0, lseek(descriptor, 0, SEEK_SET) == 0 else { throw .outsideLocalMedia }
        guard size <= imageLimits.compressedBytes else {
            throw APIError(ImageError.tooManyBytes(limit: imageLimits.compressedBytes))
        }
        var bytes = [UInt8](repeating: 0, count: size)
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                Foundation.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            }
            guard count > 0 else { throw .badImage("the file could not be read") }
            filled += count
        }
        return bytes
    }

    /// Without symbolic links, `.` and `..`; nil if nothing is there.
    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

extension APIError {
    package init(_ error: ImageError) {
        switch error {
        case .notBase64: self = .dataURLNotBase64
        case .tooManyPixels, .aspectRatio:
            let text = error.description
            self = .badRequest(text.prefix(1).uppercased() + text.dropFirst(), param: "image")
        default: self = .badImage(error.description)
        }
    }
}
