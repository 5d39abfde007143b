/// The names one body can see: its own, and through `parent` those around it. Setting never reaches outwards.
final class TemplateScope {
    private var values: [String: TemplateValue] = [:]
    private let parent: TemplateScope?

    init(parent: TemplateScope?) { self.parent = parent }

    subscript(name: String) -> TemplateValue? {
        get {
            var scope: TemplateScope? = self
            while let here = scope {
                if let value = here.values[name] { return value }
                scope = here.parent
            }
            return nil
        }
        set { values[name] = newValue }
    }
}

/// What a `for` body sees as `loop`.
final class TemplateLoopState {
    let items: [TemplateValue]
    /// Nesting of recursive loops, from 0.
    let depth: Int
    /// Where the interpreter keeps what `loop(children)` runs; nil unless the loop is recursive.
    let recursion: Int?
    var index = 0

    init(items: [TemplateValue], depth: Int, recursion: Int?) {
        self.items = items
        self.depth = depth
        self.recursion = recursion
    }

    /// Nil if `loop` has no such attribute.
    func attribute(_ name: String) -> TemplateValue? {
        switch name {
        case "index": .integer(index + 1)
        case "index0": .integer(index)
        case "revindex": .integer(items.count - index)
        case "revindex0": .integer(items.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == items.count - 1)
        case "length": .integer(items.count)
        case "depth": .integer(depth + 1)
        case "depth0": .integer(depth)
        case "previtem": index > 0 ? items[index - 1] : .undefined("there is no previous item")
        case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("there is no next item")
        case "cycle": .method(.loop(self), name: "cycle")
        default: nil
        }
    }
}
