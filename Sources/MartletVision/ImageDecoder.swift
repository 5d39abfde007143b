internal import CImage

/// PNG, JPEG and WebP to RGB8, as Pillow with transformers' conversion gives them (MODEL.md 3.3 step 1).
/// Where Pillow loses the picture we follow the PNG specification: 16-bit grey keeps its high byte (Pillow
/// clips to white), and a transparent colour is compared at its own bit depth.
package enum ImageDecoder {
    /// Decodes one picture. The first bytes decide the format, never a declared type. Limits are checked from the
    /// header before any pixel memory is taken.
    package static func decode(_ bytes: [UInt8], limits: ImageLimits = .standard) throws(ImageError) -> DecodedImage {
        let info = try probe(bytes, limits: limits)
        let width = Int(info.width), height = Int(info.height)
        var status: Int32 = 0
        let stored = pixels(count: width * height * 3) { rgb in
            status = bytes.withUnsafeBufferPointer { source in
                withUnsafePointer(to: info) {
                    martlet_image_decode(source.baseAddress, source.count, $0, rgb.baseAddress, rgb.count)
                }
            }
        }
        try check(status, info)
        guard info.orientation > 1 else { return DecodedImage(width: width, height: height, rgb: stored) }
        let upright = pixels(count: stored.count) { rgb in
            martlet_image_orient(stored, width, height, info.orientation, rgb.baseAddress)
        }
        let exchanged = info.orientation >= 5
        return DecodedImage(width: exchanged ? height : width, height: exchanged ? width : height, rgb: upright)
    }

    /// Width and height after orientation, from the header alone. Throws as `decode` does for what a header shows.
    package static func size(
        of bytes: [UInt8], limits: ImageLimits = .standard
    ) throws(ImageError) -> (width: Int, height: Int) {
        let info = try probe(bytes, limits: limits)
        let width = Int(info.width), height = Int(info.height)
        return info.orientation >= 5 ? (height, width) : (width, height)
    }

    private static func probe(_ bytes: [UInt8], limits: ImageLimits) throws(ImageError) -> martlet_image_info {
        guard bytes.count <= limits.compressedBytes else { throw .tooManyBytes(limit: limits.compressedBytes) }
        var info = martlet_image_info()
        let status = bytes.withUnsafeBufferPointer { martlet_image_probe($0.baseAddress, $0.count, &info) }
        try check(status, info)
        try limits.check(width: Int(info.width), height: Int(info.height))
        return info
    }

    private static func check(_ status: Int32, _ info: martlet_image_info) throws(ImageError) {
        switch martlet_image_status(UInt32(bitPattern: status)) {
        case MARTLET_IMAGE_OK: return
        case MARTLET_IMAGE_UNSUPPORTED: throw .unsupportedFormat(formatName(info.format))
        case MARTLET_IMAGE_TRUNCATED: throw .truncated(formatName(info.format))
        case MARTLET_IMAGE_TOO_COMPLEX: throw .tooComplex(formatName(info.format))
        case MARTLET_IMAGE_OUT_OF_MEMORY: throw .outOfMemory
        default: throw .corrupt(formatName(info.format))
        }
    }

    private static func formatName(_ format: Int32) -> String {
        switch martlet_image_format(UInt32(bitPattern: format)) {
        case MARTLET_FORMAT_PNG: "PNG"
        case MARTLET_FORMAT_JPEG: "JPEG"
        case MARTLET_FORMAT_WEBP: "WebP"
        case MARTLET_FORMAT_GIF: "GIF"
        case MARTLET_FORMAT_TIFF: "TIFF"
        case MARTLET_FORMAT_BMP: "BMP"
        case MARTLET_FORMAT_ICO: "ICO"
        case MARTLET_FORMAT_SVG: "SVG"
        case MARTLET_FORMAT_PDF: "PDF"
        case MARTLET_FORMAT_AVIF: "AVIF"
        case MARTLET_FORMAT_HEIC: "HEIC"
        case MARTLET_FORMAT_JPEG_XL: "JPEG XL"
        case MARTLET_FORMAT_JPEG_2000: "JPEG 2000"
        case MARTLET_FORMAT_PSD: "PSD"
        case MARTLET_FORMAT_WEBP_ANIMATED: "animated WebP"
        case MARTLET_FORMAT_JPEG_LOSSLESS: "lossless or hierarchical JPEG"
        case MARTLET_FORMAT_JPEG_12_BIT: "12-bit JPEG"
        case MARTLET_FORMAT_JPEG_ARITHMETIC: "arithmetic-coded JPEG"
        default: "unknown"
        }
    }

    private static func pixels(count: Int, _ fill: (UnsafeMutableBufferPointer<UInt8>) -> Void) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            initialized = count
        }
    }
}
