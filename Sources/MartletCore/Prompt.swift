/// What a request asks the model to continue: token ids, and the images whose placeholders stand among them.
package struct Prompt: Sendable {
    package var tokens: [TokenID]
    /// In the order of their offsets; spans never overlap.
    package var images: [PlacedImage]

    package init(tokens: [TokenID], images: [PlacedImage] = []) {
        self.tokens = tokens
        self.images = images
    }
}

/// `tokens[offset ..< offset + image.tokenCount]` of the prompt are this image's placeholders.
package struct PlacedImage: Sendable {
    package let image: PreparedImage
    package let offset: Int

    package init(image: PreparedImage, offset: Int) {
        self.image = image
        self.offset = offset
    }
}
