import Foundation
import MartletTensor
import MartletTestSupport
import Testing

@Suite struct MappedFileTests {
    private func refusal(_ path: String) -> String? {
        do {
            _ = try MappedFile(path: path)
            return nil
        } catch { return error.reason }
    }

    @Test func onlyRegularFilesAreMapped() throws {
        let directory = try TemporaryDirectory()
        #expect(refusal(directory.path) == "is not a regular file")
        #expect(refusal(directory.path + "/nothing")?.hasPrefix("cannot be opened") == true)
        let pipe = directory.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(refusal(pipe) == "is not a regular file")
        #expect(refusal("/dev/zero") == "is not a regular file")
    }

    @Test func anEmptyFileIsMapped() throws {
        let directory = try TemporaryDirectory()
        let mapped = try MappedFile(path: directory.write([], to: "empty"))
        #expect(mapped.byteCount == 0)
        try mapped.checkSize()
        mapped.discard(0..<0)
    }

    @Test func aFileThatShrinksIsNoticed() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write([UInt8](repeating: 7, count: 10000), to: "file")
        let mapped = try MappedFile(path: path)
        try mapped.checkSize()
        mapped.discard(0..<10000)
        mapped.discard(-5..<3)
        #expect(truncate(path, 100) == 0)
        #expect(throws: WeightError.self) { try mapped.checkSize() }
    }
}
