package import MartletCore

/// What `preprocessor_config.json` says about pictures (MODEL.md 3.1). Keys it lacks take the library's defaults.
package struct ImageProcessorConfiguration: Sendable, Equatable {
    /// Pixels along one patch, and patches along one token.
    package var patchSize = 14, mergeSize = 2
    /// Frames of one patch: what a still counts for in the limits.
    package var temporalPatchSize = 2
    /// Limits in frames x height x width, whatever their names say.
    package var shortestEdge = 112 * 112, longestEdge = 28 * 28 * 15000
    package var doResize = true
    /// Per channel R, G, B: `value = (pixel / 255 - mean) / deviation`. 0 and 1 where normalising is off.
    package var mean = SIMD3<Float>(0.48145466, 0.4578275, 0.40821073)
    package var deviation = SIMD3<Float>(0.26862954, 0.26130258, 0.27577711)

    /// The library's defaults.
    package init() {}

    /// Reads a parsed `preprocessor_config.json`, or the `image_processor` object of a `processor_config.json`; nil
    /// gives the defaults. Unknown keys are ignored. Throws `configuration` with `file` and the field for a value of
    /// the wrong kind or range, and for an arithmetic that is not built (another resampling or rescale factor).
    package init(json: JSONValue?, file: String) throws(ImageError) {
        guard let json else { return }
        let reader = FieldReader(json: json["image_processor"] ?? json, file: file)
        guard reader.json.object != nil else { throw reader.failure("image_processor", "must be an object") }
        patchSize = try reader.integer("patch_size", in: 1...64) ?? patchSize
        mergeSize = try reader.integer("merge_size", in: 1...8) ?? mergeSize
        temporalPatchSize = try reader.integer("temporal_patch_size", in: 1...16) ?? temporalPatchSize
        if reader.json["size"].map({ !$0.isNull }) ?? false {
            shortestEdge = try reader.edge("shortest_edge", in: FieldReader.shortestEdges) ?? shortestEdge
            longestEdge = try reader.edge("longest_edge", in: FieldReader.longestEdges) ?? longestEdge
        }
        guard shortestEdge <= longestEdge else { throw reader.failure("size", "shortest_edge exceeds longest_edge") }
        doResize = try reader.boolean("do_resize") ?? true
        try reader.checkArithmetic()
        if try reader.boolean("do_normalize") ?? true {
            mean = try reader.vector("image_mean") ?? mean
            deviation = try reader.vector("image_std") ?? deviation
            guard deviation.x > 0, deviation.y > 0, deviation.z > 0 else {
                throw reader.failure("image_std", "must be positive")
            }
        } else {
            (mean, deviation) = (SIMD3(repeating: 0), SIMD3(repeating: 1))
        }
    }

    /// A copy with the limits of `--mm-processor-kwargs`: `max_pixels` and `min_pixels`, counted as the file counts
    /// them, frames x height x width. A lone limit moves the other one along where they would cross.
    package func overriding(minPixels: Int?, maxPixels: Int?) throws(ImageError) -> ImageProcessorConfiguration {
        var copy = self
        if let minPixels, !FieldReader.shortestEdges.contains(minPixels) {
            throw .configuration(file: "--mm-processor-kwargs", field: "min_pixels", problem: "is out of range")
        }
        if let maxPixels, !FieldReader.longestEdges.contains(maxPixels) {
            throw .configuration(file: "--mm-processor-kwargs", field: "max_pixels", problem: "is out of range")
        }
        copy.longestEdge = maxPixels ?? max(longestEdge, minPixels ?? 0)
        copy.shortestEdge = minPixels ?? min(shortestEdge, copy.longestEdge)
        guard copy.shortestEdge <= copy.longestEdge else {
            throw .configuration(file: "--mm-processor-kwargs", field: "min_pixels", problem: "exceeds max_pixels")
        }
        return copy
    }
}

/// Typed reads of one object; every failure names the file and the field.
private struct FieldReader {
    /// The least an image may cost is memory taken for the smallest picture, so it stays within reason (67 megapixels
    /// of a still); the most is only ever compared.
    static let shortestEdges = 1...(1 << 27)
    static let longestEdges = 1...(1 << 40)

    let json: JSONValue
    let file: String

    func failure(_ field: String, _ problem: String) -> ImageError {
        .configuration(file: file, field: field, problem: problem)
    }

    private func value(_ field: String) -> JSONValue? {
        json[field].flatMap { $0.isNull ? nil : $0 }
    }

    func integer(_ field: String, in range: ClosedRange<Int>) throws(ImageError) -> Int? {
        guard let value = value(field) else { return nil }
        guard let integer = value.integer, range.contains(integer) else {
            throw failure(field, "must be an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    /// `size.shortest_edge` or `size.longest_edge`.
    func edge(_ field: String, in range: ClosedRange<Int>) throws(ImageError) -> Int? {
        guard let size = json["size"], size.object != nil else { throw failure("size", "must be an object") }
        guard let value = size[field], !value.isNull else { return nil }
        guard let integer = value.integer, range.contains(integer) else {
            throw failure("size.\(field)", "must be a number of pixels from 1 to \(range.upperBound)")
        }
        return integer
    }

    func boolean(_ field: String) throws(ImageError) -> Bool? {
        guard let value = value(field) else { return nil }
        guard let flag = value.bool else { throw failure(field, "must be true or false") }
        return flag
    }

    func vector(_ field: String) throws(ImageError) -> SIMD3<Float>? {
        guard let value = value(field) else { return nil }
        let numbers = value.array?.compactMap(\.number).map { Float($0) } ?? []
        guard numbers.count == 3, value.array?.count == 3, numbers.allSatisfy(\.isFinite) else {
            throw failure(field, "must be three numbers")
        }
        return SIMD3(numbers[0], numbers[1], numbers[2])
    }

    /// The parts of the pipeline that `PreparedImage` and `Resampler` fix.
    func checkArithmetic() throws(ImageError) {
        guard try boolean("do_rescale") ?? true else { throw failure("do_rescale", "false is not supported") }
        if let factor = value("rescale_factor") {
            guard let number = factor.number, abs(number * 255 - 1) < 1e-6 else {
                throw failure("rescale_factor", "only 1/255 is supported")
            }
        }
        if let resample = value("resample") {
            guard resample.integer == 3 else { throw failure("resample", "only 3 (bicubic) is supported") }
        }
    }
}
