import Foundation

/// A directory of model files. Names that come out of files are looked up through it, so that no index and no
/// symbolic link reads anything outside; the one exception is the Hugging Face cache, whose snapshots are links
/// into the `blobs` beside them.
package struct CheckpointDirectory: Sendable {
    package let path: String
    /// Real paths, each ending in "/", that a file of this directory may lie under.
    private let roots: [String]

    /// Throws if `path` is not a directory.
    package init(path: String) throws(WeightError) {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue,
            let real = Self.realPath(path)
        else { throw WeightError(file: path, reason: "is not a directory") }
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let snapshots = (real as NSString).deletingLastPathComponent
        var roots = [real + "/"]
        if (snapshots as NSString).lastPathComponent == "snapshots" {
            roots.append((snapshots as NSString).deletingLastPathComponent + "/blobs/")
        }
        self.roots = roots
    }

    /// Names of the entries, sorted; empty if it cannot be listed.
    package var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// Where the file `name` is, or nil if there is none. Throws if `name` is not a plain file name or leads out
    /// of the directory.
    package func file(_ name: String) throws(WeightError) -> String? {
        guard Self.isPlain(name) else {
            throw WeightError(file: path, reason: "\"\(name)\" is not a plain file name")
        }
        let file = path + "/" + name
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        guard let real = Self.realPath(file), roots.contains(where: { real.hasPrefix($0) }) else {
            throw WeightError(file: file, reason: "is a link that leads out of its directory")
        }
        return file
    }

    /// The bytes of the file `name`, nil if there is none. Throws if it is larger than `maxBytes`.
    package func read(_ name: String, maxBytes: Int) throws(WeightError) -> [UInt8]? {
        guard let path = try file(name) else { return nil }
        let mapped = try MappedFile(path: path)
        guard mapped.byteCount <= maxBytes else {
            throw WeightError(file: path, reason: "is larger than \(maxBytes) bytes")
        }
        return [UInt8](mapped.bytes)
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 }
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
