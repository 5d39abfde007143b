import Foundation

/// A directory that appears whole or not at all: made beside its place under another name, renamed at the end, removed
/// with everything in it if that end never comes.
final class StagedDirectory {
    /// Where it will be.
    let path: String
    /// Where it is until then.
    let temporaryPath: String
    private var isCommitted = false

    /// Throws `PackError` if there is something at `path` other than an empty directory, or none can be made.
    init(path: String) throws(PackError) {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        if FileManager.default.fileExists(atPath: path) {
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: path), names.isEmpty else {
                throw PackError(path: path, reason: "exists already; give a name that is free")
            }
        }
        temporaryPath = path + ".partial-\(ProcessInfo.processInfo.processIdentifier)"
        guard mkdir(temporaryPath, 0o755) == 0 else {
            throw PackError(path: temporaryPath, reason: "cannot be made: \(String(cString: strerror(errno)))")
        }
        self.path = path
    }

    deinit { if !isCommitted { remove() } }

    /// Takes it away before its end.
    func remove() { try? FileManager.default.removeItem(atPath: temporaryPath) }

    func write(_ bytes: [UInt8], to name: String) throws(PackError) {
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: temporaryPath + "/" + name))
        } catch {
            throw PackError(
                path: temporaryPath + "/" + name, reason: "cannot be written: \(error.localizedDescription)")
        }
    }

    /// Bytes that the disk has left; nil where that is not known.
    var freeBytes: Int? {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: temporaryPath)
        return (attributes?[.systemFreeSize] as? NSNumber)?.intValue
    }

    /// Gives it its name.
    func commit() throws(PackError) {
        guard rename(temporaryPath, path) == 0 else {
            throw PackError(path: path, reason: "cannot be put in place: \(String(cString: strerror(errno)))")
        }
        isCommitted = true
    }
}

/// A directory that could not be made.
struct PackError: Error, Equatable, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path) \(reason)" }
}
