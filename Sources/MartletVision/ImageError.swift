/// Why a picture was refused. The description is safe to send to the client: it holds no address, no library's
/// own text, and of the input at most a short piece of plain letters.
package enum ImageError: Error, Equatable, Sendable {
    /// A kind of picture that is not decoded: "GIF", "animated WebP", "unknown"…
    case unsupportedFormat(String)
    /// The bytes of this format end too early.
    case truncated(String)
    /// The bytes contradict their own format.
    case corrupt(String)
    /// Chunks, segments or scans beyond what an honest file of this format has.
    case tooComplex(String)
    case tooManyPixels(width: Int, height: Int, limit: Int)
    case aspectRatio(width: Int, height: Int, limit: Int)
    /// More compressed (or base64-decoded) bytes than allowed.
    case tooManyBytes(limit: Int)
    /// `do_resize` is off and the sides are no multiples of one token's pixels.
    case notWholePatches(width: Int, height: Int, multiple: Int)
    /// A `data:` URL without `;base64`: legal, but not built.
    case notBase64
    /// Not a `data:` URL, or one without a comma.
    case badDataURL
    /// The text after the comma is not strict base64.
    case badBase64
    /// The media type of a `data:` URL is not that of a picture.
    case mediaType(String)
    /// A processor file or override holds a value that this processor cannot follow.
    case configuration(file: String, field: String, problem: String)
    case outOfMemory
}

extension ImageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unsupportedFormat(let name): "unsupported image format: \(name); send PNG, JPEG or WebP"
        case .truncated(let format): "the \(format) image is truncated"
        case .corrupt(let format): "the \(format) image is corrupt"
        case .tooComplex(let format): "the \(format) image has too many chunks or scans"
        case .tooManyPixels(let width, let height, let limit):
            "image dimensions \(width)x\(height) exceed the maximum of \(limit) pixels"
        case .aspectRatio(let width, let height, let limit):
            "image dimensions \(width)x\(height) exceed the maximum aspect ratio of \(limit):1"
        case .tooManyBytes(let limit): "the image exceeds the maximum of \(limit) bytes"
        case .notWholePatches(let width, let height, let multiple):
            "image dimensions \(width)x\(height) are not multiples of \(multiple), and resizing is off"
        case .notBase64: "only base64 data URLs are supported"
        case .badDataURL: "not a data URL"
        case .badBase64: "invalid base64 in the data URL"
        case .mediaType(let type): "a data URL of type \(type) is not an image"
        case .configuration(let file, let field, let problem): "\(file): \(field): \(problem)"
        case .outOfMemory: "not enough memory to decode the image"
        }
    }
}
