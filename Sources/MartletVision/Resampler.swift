internal import CImage

/// Bicubic resize with antialias, a = -0.5: the same bytes as torchvision on a CPU with AVX2 (MODEL.md 3.3 step 3).
package enum Resampler {
    /// rgb: [height, width, 3] to [newHeight, newWidth, 3]. All sizes at least 1. Throws only `outOfMemory`.
    package static func resize(_ image: DecodedImage, width: Int, height: Int) throws(ImageError) -> [UInt8] {
        precondition(width > 0 && height > 0, "a picture has at least one pixel")
        guard width != image.width || height != image.height else { return image.rgb }
        var status: Int32 = 0
        let count = width * height * 3
        let resized = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            status = martlet_image_resize(image.rgb, image.width, image.height, buffer.baseAddress, width, height)
            initialized = count
        }
        guard status == 0 else { throw .outOfMemory }
        return resized
    }
}
