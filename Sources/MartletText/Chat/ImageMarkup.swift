/// How an image is spelled in a prompt.
package struct ImageMarkup: Sendable, Equatable {
    /// The token that is widened to the image's own; one an image.
    package let placeholder: String
    /// The placeholder with what stands around it, for the `string` content format.
    package let text: String

    package init(placeholder: String, text: String) {
        self.placeholder = placeholder
        self.text = text
    }

    package static let glm = ImageMarkup(
        placeholder: "<|image|>", text: "<|begin_of_image|><|image|><|end_of_image|>")
}
