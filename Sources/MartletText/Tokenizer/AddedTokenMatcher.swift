import MartletCore

/// Finds added tokens in text: the longest at the first place where any begins. A trie of bytes.
struct AddedTokenMatcher: Sendable {
    private struct Node {
        var byte: UInt8
        /// Index into the tokens, -1 if none ends here.
        var token: Int32 = -1
        var firstChild: Int32 = -1
        var sibling: Int32 = -1
    }

    let tokens: [AddedToken]
    private var nodes = [Node(byte: 0)]
    /// Child of the root for every first byte, -1 if no token begins so.
    private var roots = [Int32](repeating: -1, count: 256)

    var isEmpty: Bool { tokens.isEmpty }

    /// Contents are not empty.
    init(_ tokens: [AddedToken]) {
        self.tokens = tokens
        for (index, token) in tokens.enumerated() {
            var node: Int32 = 0
            for byte in token.content.utf8 { node = child(of: node, byte) ?? addChild(of: node, byte) }
            nodes[Int(node)].token = Int32(truncatingIfNeeded: index)
        }
    }

    private func child(of node: Int32, _ byte: UInt8) -> Int32? {
        var child = node == 0 ? roots[Int(byte)] : nodes[Int(node)].firstChild
        while child >= 0 && nodes[Int(child)].byte != byte { child = nodes[Int(child)].sibling }
        return child >= 0 ? child : nil
    }

    private mutating func addChild(of node: Int32, _ byte: UInt8) -> Int32 {
        let child = Int32(truncatingIfNeeded: nodes.count)
        var new = Node(byte: byte)
        if node == 0 {
            roots[Int(byte)] = child
        } else {
            new.sibling = nodes[Int(node)].firstChild
            nodes[Int(node)].firstChild = child
        }
        nodes.append(new)
        return child
    }

    /// The longest token that begins at `offset`: its index and its end.
    func match(_ text: UnsafeBufferPointer<UInt8>, at offset: Int) -> (token: Int, end: Int)? {
        var node = roots[Int(text[offset])]
        var position = offset + 1
        var found: (token: Int, end: Int)?
        while node >= 0 {
            if nodes[Int(node)].token >= 0 { found = (Int(nodes[Int(node)].token), position) }
            guard position < text.count else { break }
            node = child(of: node, text[position]) ?? -1
            position += 1
        }
        return found
    }

    /// The first token from `start` on: its index and its range.
    func firstMatch(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> (token: Int, range: Range<Int>)? {
        var offset = start
        while offset < text.count {
            if roots[Int(text[offset])] >= 0, let match = match(text, at: offset) {
                return (match.token, offset..<match.end)
            }
            offset += 1
        }
        return nil
    }

    /// `text` from `offset` to its end begins a token that would go on.
    func isUnfinished(_ text: UnsafeBufferPointer<UInt8>, from offset: Int) -> Bool {
        var node = roots[Int(text[offset])]
        var position = offset + 1
        while node >= 0 && position < text.count {
            node = child(of: node, text[position]) ?? -1
            position += 1
        }
        return node >= 0 && nodes[Int(node)].firstChild >= 0
    }
}
