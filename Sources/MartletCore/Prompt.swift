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

extension Prompt {
    /// Widens each `placeholder` of a rendered prompt to as many copies as its image has tokens; `images` are in the
    /// order of the placeholders. Placeholders beyond the images stay as they are.
    package init(tokens: [TokenID], placeholder: TokenID?, images: [PreparedImage]) {
        self.init(tokens: [])
        self.tokens.reserveCapacity(tokens.count + images.reduce(0) { $0 + $1.tokenCount })
        for token in tokens {
            guard token == placeholder, self.images.count < images.count else {
                self.tokens.append(token)
                continue
            }
            let image = images[self.images.count]
            self.images.append(PlacedImage(image: image, offset: self.tokens.count))
            self.tokens.append(contentsOf: repeatElement(token, count: image.tokenCount))
        }
    }
}
