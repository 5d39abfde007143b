/// Why a conversation has no prompt. Each is the request's (or the template's) fault and becomes a 400.
package enum ChatError: Error, Equatable, Sendable, CustomStringConvertible {
    case template(TemplateError)
    /// The template rendered another number of image placeholders than the conversation has images: it drops the
    /// image of some role, or a text spells the placeholder.
    case imageCount(given: Int, rendered: Int)
    /// `chat_template_kwargs` may not replace what the server itself passes.
    case reservedArgument(String)
    /// `continue_final_message` with nothing to continue, or together with `add_generation_prompt`.
    case cannotContinue(String)

    package var description: String {
        switch self {
        case .template(let error): error.description
        case .imageCount(let given, let rendered):
            "the conversation has \(given) images, but the chat template rendered \(rendered) image placeholders"
        case .reservedArgument(let name): "chat_template_kwargs: '\(name)' is set by the server"
        case .cannotContinue(let reason): "continue_final_message: \(reason)"
        }
    }
}
