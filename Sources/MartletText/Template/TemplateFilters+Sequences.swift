// Filters on sequences.
extension TemplateInterpreter {
    func sequenceFilter(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        guard Self.filterNames.contains(name) else { throw TemplateError(.unsupported, "no filter '\(name)'") }
        if name == "dictsort" { return try sortedEntries(value, arguments) }
        if name == "reverse", case .string(let text) = value {
            try charge(text.utf8.count / 4)
            return try self.text(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
        }
        // What is empty, be it no sequence at all, maps and selects to nothing.
        let isLazy = ["map", "select", "reject", "selectattr", "rejectattr"].contains(name)
        let items = isLazy && !value.isTrue ? [] : try elements(of: value)
        try charge(items.count)
        switch name {
        case "first": return items.first ?? .undefined("the sequence is empty")
        case "last": return items.last ?? .undefined("the sequence is empty")
        case "list": return try .list(items)
        case "reverse": return try .list(items.reversed())
        case "join":
            let pieces = try attributes(of: items, arguments.argument(1, "attribute"))
            return try joined(pieces, by: try printed(arguments.argument(0, "d") ?? .string("")))
        case "map": return try mapped(items, arguments)
        case "select", "reject": return try selected(items, arguments, attribute: nil, keeps: name == "select")
        case "selectattr", "rejectattr":
            guard let attribute = arguments.positional.first else { throw lacking(name) }
            var rest = arguments
            rest.positional.removeFirst()
            return try selected(items, rest, attribute: attribute, keeps: name == "selectattr")
        case "sort":
            let keys = try sortKeys(
                try attributes(of: items, arguments.argument(2, "attribute")), arguments.argument(1, "case_sensitive"))
            return try .list(try sorted(items, by: keys, reversed: arguments.argument(0, "reverse")?.isTrue ?? false))
        case "min", "max": return try extreme(items, arguments, isMax: name == "max")
        case "sum":
            var sum = arguments.argument(1, "start") ?? .integer(0)
            for item in try attributes(of: items, arguments.argument(0, "attribute")) {
                sum = try arithmetic(.add, sum, item)
            }
            return sum
        case "unique": return try unique(items, arguments)
        case "groupby": return try grouped(items, arguments)
        case "batch": return try batched(items, arguments)
        default: throw TemplateError(.unsupported, "no filter '\(name)'")
        }
    }

    /// `item.a.b.0` for each item; the items themselves if there is no path.
    private func attributes(
        of items: [TemplateValue], _ path: TemplateValue?, standard: TemplateValue? = nil
    ) throws(TemplateError) -> [TemplateValue] {
        guard let path, path.typeName != "None" else { return items }
        let keys: [TemplateValue]
        switch path {
        case .integer: keys = [path]
        case .string(let text):
            keys = PythonText.split(text, by: ".").map { Int($0).map(TemplateValue.integer) ?? .string($0) }
        default: throw TemplateError(.type, "an attribute is named by a str or int")
        }
        var values: [TemplateValue] = []
        for item in items {
            var value = item
            for key in keys {
                value = try self.item(key, of: value)
                if value.isUndefined, let standard { value = standard }
            }
            try charge(keys.count)
            values.append(value)
        }
        return values
    }

    private func mapped(_ items: [TemplateValue], _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        if let path = arguments.named("attribute") {
            return try .list(try attributes(of: items, path, standard: arguments.named("default")))
        }
        guard case .string(let name)? = arguments.positional.first else { throw lacking("map") }
        var rest = arguments
        rest.positional.removeFirst()
        var values: [TemplateValue] = []
        for item in items { values.append(try filter(name, item, rest)) }
        return try .list(values)
    }

    private func selected(
        _ items: [TemplateValue], _ arguments: TemplateCall, attribute: TemplateValue?, keeps: Bool
    ) throws(TemplateError) -> TemplateValue {
        var rest = arguments
        var name: String?
        if let first = arguments.positional.first {
            name = try printed(first)
            rest.positional.removeFirst()
        }
        var kept: [TemplateValue] = []
        for (item, value) in zip(items, try attributes(of: items, attribute)) {
            let holds = if let name { try test(name, value, rest) } else { value.isTrue }
            if holds == keeps { kept.append(item) }
        }
        return try .list(kept)
    }

    /// Texts compare without case unless asked.
    private func sortKeys(
        _ values: [TemplateValue], _ caseSensitive: TemplateValue?
    ) throws(TemplateError) -> [TemplateValue] {
        guard !(caseSensitive?.isTrue ?? false) else { return values }
        var keys: [TemplateValue] = []
        for value in values {
            guard case .string(let text) = value else {
                keys.append(value)
                continue
            }
            try charge(text.utf8.count / 4)
            keys.append(.string(text.lowercased()))
        }
        return keys
    }

    /// A stable merge sort; the standard library's does not take a comparison that throws our error.
    private func sorted(
        _ items: [TemplateValue], by keys: [TemplateValue], reversed: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        var positions = Array(items.indices)
        var width = 1
        while width < positions.count {
            var merged: [Int] = []
            var start = 0
            while start < positions.count {
                let middle = min(start + width, positions.count)
                let end = min(start + 2 * width, positions.count)
                var (left, right) = (start, middle)
                while left < middle, right < end {
                    let order = try order(keys[positions[right]], keys[positions[left]])
                    let takesRight = reversed ? order > 0 : order < 0
                    merged.append(positions[takesRight ? right : left])
                    if takesRight { right += 1 } else { left += 1 }
                }
                merged += positions[left..<middle] + positions[right..<end]
                start = end
            }
            positions = merged
            width *= 2
        }
        return positions.map { items[$0] }
    }

    private func sortedEntries(
        _ value: TemplateValue, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        guard case .mapping(let mapping) = value else { throw TemplateError(.type, "'dictsort' is for mappings") }
        let byValue = arguments.argument(1, "by")?.string == "value"
        let keys = try sortKeys(
            mapping.entries.map { byValue ? $0.value : $0.key }, arguments.argument(0, "case_sensitive"))
        let items = try elements(of: try items(of: mapping))
        return try .list(try sorted(items, by: keys, reversed: arguments.argument(2, "reverse")?.isTrue ?? false))
    }

    private func extreme(
        _ items: [TemplateValue], _ arguments: TemplateCall, isMax: Bool
    ) throws(TemplateError) -> TemplateValue {
        let keys = try sortKeys(
            try attributes(of: items, arguments.argument(1, "attribute")), arguments.argument(0, "case_sensitive"))
        guard var best = items.indices.first else { return .undefined("the sequence is empty") }
        for index in items.indices.dropFirst() {
            let order = try order(keys[index], keys[best])
            if isMax ? order > 0 : order < 0 { best = index }
        }
        return items[best]
    }

    private func unique(_ items: [TemplateValue], _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        let keys = try sortKeys(
            try attributes(of: items, arguments.argument(1, "attribute")), arguments.argument(0, "case_sensitive"))
        var seen = TemplateMapping()
        var kept: [TemplateValue] = []
        for (item, key) in zip(items, keys) where try seen.value(for: key) == nil {
            try seen.set(key, to: .none)
            kept.append(item)
        }
        return try .list(kept)
    }

    private func grouped(_ items: [TemplateValue], _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        guard let path = arguments.argument(0, "attribute") else { throw lacking("groupby") }
        let values = try attributes(of: items, path, standard: arguments.argument(1, "default"))
        let keys = try sortKeys(values, arguments.argument(2, "case_sensitive"))
        let order = try sorted(items.indices.map(TemplateValue.integer), by: keys, reversed: false)
        var groups: [(name: TemplateValue, key: TemplateValue, items: [TemplateValue])] = []
        for index in order.compactMap(\.integer) {
            if let last = groups.last, try isEqual(last.key, keys[index]) {
                groups[groups.count - 1].items.append(items[index])
            } else {
                groups.append((values[index], keys[index], [items[index]]))
            }
        }
        var pairs: [TemplateValue] = []
        for group in groups { pairs.append(try .tuple([group.name, try .list(group.items)])) }
        return try .list(pairs)
    }

    private func batched(_ items: [TemplateValue], _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        guard let count = arguments.argument(0, "linecount")?.integer, count > 0 else { throw lacking("batch") }
        var batches: [TemplateValue] = []
        for start in stride(from: 0, to: items.count, by: count) {
            var batch = Array(items[start..<min(items.count - start, count) + start])
            if let filler = arguments.argument(1, "fill_with"), batch.count < count {
                try charge(count - batch.count)
                batch += repeatElement(filler, count: count - batch.count)
            }
            batches.append(try .list(batch))
        }
        return try .list(batches)
    }
}
