/// Small things that every rank has to know of all.
extension Communicator {
    /// What every rank brings, in order of rank.
    package func exchange(_ own: [UInt8]) throws(CommunicatorError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        for root in 0..<size {
            var count = UInt64(own.count).littleEndian
            try broadcast(&count, from: root)
            guard UInt64(littleEndian: count) <= 1 << 20 else {
                throw CommunicatorError(reason: "rank \(root) brings \(UInt64(littleEndian: count)) bytes")
            }
            var bytes = root == rank ? own : [UInt8](repeating: 0, count: Int(UInt64(littleEndian: count)))
            try broadcast(&bytes, from: root)
            found.append(bytes)
        }
        return found
    }

    /// The least of what the ranks bring. Nobody has it before all have come.
    package func minimum(of value: Int) throws(CommunicatorError) -> Int {
        var least = Int.max
        for root in 0..<size {
            var word = Int64(value).littleEndian
            try broadcast(&word, from: root)
            least = min(least, Int(Int64(littleEndian: word)))
        }
        return least
    }

    /// Whether this rank's value is rank 0's.
    package func agrees(on value: UInt64) throws(CommunicatorError) -> Bool {
        var first = value
        try broadcast(&first, from: 0)
        return first == value
    }

    private func broadcast<Value: BitwiseCopyable>(_ value: inout Value, from root: Int) throws(CommunicatorError) {
        try withUnsafeMutableBytes(of: &value) { (bytes) throws(CommunicatorError) in
            try broadcast(bytes, from: root)
        }
    }

    private func broadcast(_ bytes: inout [UInt8], from root: Int) throws(CommunicatorError) {
        var failure: CommunicatorError?
        bytes.withUnsafeMutableBytes { bytes in
            do throws(CommunicatorError) { try broadcast(bytes, from: root) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
