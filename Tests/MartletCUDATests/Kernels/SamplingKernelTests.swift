import MartletCore
import Testing

/// The device chooses the very tokens, and tells the very probabilities, that the CPU does (D12).
@Suite struct SamplingKernelTests {
    /// Ten thousand rows, of every width from one token to a few tiles.
    @Test(arguments: [(1, 100), (2, 400), (7, 2000), (33, 3000), (64, 2500), (257, 1800), (1000, 200)])
    func shortRowsAgree(width: Int, rows: Int) throws {
        for first in stride(from: 0, to: rows, by: 500) {
            let count = min(500, rows - first)
            try expectAgreement(
                SamplingKernelScene(rows: count, width: width, seed: UInt64(width * 10_000 + first)), threads: 64)
        }
    }

    @Test func rowsOfTheWholeVocabularyAgree() throws {
        for seed in 0..<4 {
            try expectAgreement(SamplingKernelScene(rows: 5, width: 151_552, seed: UInt64(seed)), threads: 256)
        }
    }

    /// No bit depends on the number of threads, nor on which of them go first.
    @Test(arguments: [96, 256, 1024]) func threadsChangeNothing(threads: Int) throws {
        let scene = SamplingKernelScene(rows: 30, width: 500, seed: 3)
        let truth = try scene.truth()
        try EmulatedDevice.inBothOrders { device in
            let found = try scene.run(threads: threads, on: device)
            #expect(found == truth)
        }
    }

    private func expectAgreement(
        _ scene: SamplingKernelScene, threads: Int, location: SourceLocation = #_sourceLocation
    ) throws {
        let device = try EmulatedDevice()
        let found = try scene.run(threads: threads, on: device), truth = try scene.truth()
        #expect(device.close() == [], sourceLocation: location)
        guard let row = found.indices.first(where: { found[$0] != truth[$0] }) else { return }
        Issue.record(
            """
            row \(row) of \(scene.width): \(String(describing: found[row])), not \(String(describing: truth[row])); \
            \(scene.requests[row])
            """, sourceLocation: location)
    }
}
