import MartletCore
import MartletEngine

/// Writes Prometheus's text format, version 0.0.4: one HELP and one TYPE a family, families whole, labels escaped.
struct PrometheusWriter {
    typealias Labels = [(name: String, value: String)]

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""
    /// Seconds since 1970 at which all counters began: the value of the `_created` series.
    let created: Double

    init(created: Double) { self.created = created }

    mutating func gauge(_ name: String, _ help: String, _ samples: [(labels: Labels, value: Double)]) {
        begin(name, "gauge", help)
        for (labels, value) in samples { sample(name, labels, value) }
    }

    /// `name` without `_total`.
    mutating func counter(_ name: String, _ help: String, _ samples: [(labels: Labels, value: Double)]) {
        begin("\(name)_total", "counter", help)
        for (labels, value) in samples { sample("\(name)_total", labels, value) }
        begin("\(name)_created", "gauge", help)
        for (labels, _) in samples { sample("\(name)_created", labels, created) }
    }

    mutating func histogram(_ name: String, _ help: String, _ samples: [(labels: Labels, value: Histogram)]) {
        begin(name, "histogram", help)
        for (labels, histogram) in samples {
            var cumulative: UInt64 = 0
            for (bound, count) in zip(histogram.bounds, histogram.counts) {
                cumulative += count
                sample("\(name)_bucket", labels + [("le", Self.number(bound))], Double(cumulative))
            }
            sample("\(name)_bucket", labels + [("le", "+Inf")], Double(histogram.total))
            sample("\(name)_count", labels, Double(histogram.total))
            sample("\(name)_sum", labels, histogram.sum)
        }
        begin("\(name)_created", "gauge", help)
        for (labels, _) in samples { sample("\(name)_created", labels, created) }
    }

    /// Count and sum only.
    mutating func summary(_ name: String, _ help: String, _ samples: [(labels: Labels, count: Double, sum: Double)]) {
        begin(name, "summary", help)
        for (labels, count, sum) in samples {
            sample("\(name)_count", labels, count)
            sample("\(name)_sum", labels, sum)
        }
    }

    private mutating func begin(_ name: String, _ type: String, _ help: String) {
        let escaped = help.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
        text += "# HELP \(name) \(escaped.split(separator: "\n").joined(separator: "\\n"))\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{"
            text += labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
            text += "}"
        }
        text += " \(Self.number(value))\n"
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// As Python's client writes floats: `0.5`, `1.0`, `+Inf`.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }
}
