import MartletCore
import MartletTensor

/// The rope settings of a `config.json`, wherever its layout keeps them: `text_config.rope_parameters`,
/// `text_config`, `text_config.rope_scaling`, then the same three at the top (MODEL.md 1.2).
struct RotaryKeys {
    private let places: [ConfigurationObject]
    private let text: ConfigurationObject

    init(top: ConfigurationObject, text: ConfigurationObject) throws(ModelError) {
        var places: [ConfigurationObject] = []
        for object in text.path.isEmpty ? [top] : [text, top] {
            if let parameters = try object.child("rope_parameters") { places.append(parameters) }
            places.append(object)
            if let scaling = try object.child("rope_scaling") { places.append(scaling) }
        }
        self.places = places
        self.text = text
    }

    /// The first place that has `key`.
    private func place(_ key: String) -> ConfigurationObject? { places.first { $0[key] != nil } }

    private func number(_ key: String, _ range: ClosedRange<Double>, missing: Double) throws(ModelError) -> Double {
        try place(key)?.number(key, range) ?? missing
    }

    /// `rope_type`, or `type` in its place; "default" if neither is given.
    private func type() throws(ModelError) -> (value: String, place: ConfigurationObject) {
        for object in places {
            if let value = try object.string("rope_type") { return (value, object) }
            let isRotary = object.path.hasSuffix("rope_parameters.") || object.path.hasSuffix("rope_scaling.")
            if isRotary, let value = try object.string("type") { return (value, object) }
        }
        return ("default", text)
    }

    /// The rotary embedding of a text decoder. Throws for kinds of scaling that are not built.
    func configuration(
        headDimension: Int, pairing: RotaryPairing, partialDefault: Double, hasSections: Bool
    ) throws(ModelError) -> RotaryConfiguration {
        let theta = try number("rope_theta", ModelLimits.theta, missing: 10000)
        let partial = try number("partial_rotary_factor", 0...1, missing: partialDefault)
        let dimensions = Int(Double(headDimension) * partial)
        guard dimensions >= 2, dimensions % 2 == 0 else {
            throw (place("partial_rotary_factor") ?? text).fault(
                "partial_rotary_factor",
                "leaves \(dimensions) rotary dimensions of \(headDimension); an even number is needed")
        }
        var frequencies = RotaryConfiguration.inverseFrequencies(theta: theta, dimensions: dimensions)
        let type = try type()
        switch type.value {
        case "default": break
        case "llama3": frequencies = try scaledAsLlama3(frequencies)
        default: throw type.place.fault("rope_type", "is \"\(type.value)\"; default and llama3 are built")
        }
        var axis = [Int](repeating: 0, count: frequencies.count)
        if hasSections { axis = try sections(frequencyCount: frequencies.count) }
        return RotaryConfiguration(pairing: pairing, inverseFrequency: frequencies, axis: axis)
    }

    /// Contiguous sections of frequencies for T, H and W (MODEL.md 1.4).
    private func sections(frequencyCount: Int) throws(ModelError) -> [Int] {
        guard let place = place("mrope_section"), let value = place["mrope_section"] else {
            guard let axis = RotaryConfiguration.axes(sections: [8, 12, 12], frequencyCount: frequencyCount) else {
                throw text.fault(
                    "mrope_section", "is missing, and the usual 8, 12, 12 are not \(frequencyCount) frequencies")
            }
            return axis
        }
        var sections: [Int] = []
        for item in value.array ?? [] { sections.append(item.integer ?? -1) }
        guard let axis = RotaryConfiguration.axes(sections: sections, frequencyCount: frequencyCount) else {
            throw place.fault("mrope_section", "is not three counts that add up to \(frequencyCount) frequencies")
        }
        return axis
    }

    /// Llama 3.1's scaling: long wavelengths stretched, short ones kept, a ramp between.
    private func scaledAsLlama3(_ frequencies: [Float]) throws(ModelError) -> [Float] {
        let factor = try number("factor", ModelLimits.scale, missing: 8)
        let low = try number("low_freq_factor", ModelLimits.scale, missing: 1)
        let high = try number("high_freq_factor", ModelLimits.scale, missing: 4)
        let original = try number("original_max_position_embeddings", 1...1e9, missing: 8192)
        guard high > low else {
            throw (place("high_freq_factor") ?? text).fault("high_freq_factor", "is not above low_freq_factor")
        }
        return frequencies.map { frequency in
            let wavelength = 2 * Double.pi / Double(frequency)
            if wavelength > original / low { return Float(Double(frequency) / factor) }
            if wavelength < original / high { return frequency }
            let smooth = (original / wavelength - low) / (high - low)
            return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
        }
    }
}

extension RotaryConfiguration {
    /// The axis of each frequency for contiguous T, H, W sections (more may follow and must be 0, as GGUF writes
    /// them); nil if they are not three counts that add up.
    static func axes(sections: [Int], frequencyCount: Int) -> [Int]? {
        guard (3...4).contains(sections.count), sections.allSatisfy({ (0...frequencyCount).contains($0) }),
            sections.dropFirst(3).allSatisfy({ $0 == 0 }), sections.reduce(0, +) == frequencyCount
        else { return nil }
        return (0..<3).flatMap { [Int](repeating: $0, count: sections[$0]) }
    }
}
