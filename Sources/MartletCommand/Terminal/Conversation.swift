import Foundation
import MartletCore
import MartletModels
import MartletText
import MartletVision

/// A chat's turns so far, and the prompt they make.
struct Conversation {
    private(set) var messages: [ChatMessage] = []
    private var images: [PreparedImage] = []

    init(system: String? = nil) {
        if let system { messages.append(ChatMessage(role: "system", text: system)) }
    }

    /// Adds a turn of the user. Pictures stand before the text. Throws if a file is no picture the model can see.
    mutating func ask(_ text: String, pictures: [String], of assembly: ModelAssembly) throws {
        var parts: [ChatMessage.Part] = []
        for path in pictures {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw PictureError(file: path, reason: "cannot be read")
            }
            parts.append(.image(images.count))
            images.append(try Self.prepare(Array(data), file: path, of: assembly))
        }
        let content = parts.isEmpty ? ChatMessage.Content.text(text) : .parts(parts + [.text(text)])
        messages.append(ChatMessage(role: "user", content: content))
    }

    mutating func ask(_ text: String, picture: PreparedImage) {
        images.append(picture)
        messages.append(ChatMessage(role: "user", content: .parts([.image(images.count - 1), .text(text)])))
    }

    mutating func answer(_ text: String) { messages.append(ChatMessage(role: "assistant", text: text)) }

    /// Takes back the last turn, after a failure.
    mutating func forgetLastTurn() { _ = messages.popLast() }

    /// Throws `ChatError`, or `PictureError` for a model without a template.
    func prompt(
        of assembly: ModelAssembly, enableThinking: Bool? = nil
    ) throws -> (prompt: Prompt, start: OutputStart) {
        guard let renderer = assembly.renderer else {
            throw PictureError(
                file: assembly.files.location, reason: "has no chat template; give one with --chat-template")
        }
        let rendered = try renderer.render(
            messages: messages, enableThinking: enableThinking, now: Int(Date().timeIntervalSince1970))
        let tokens = assembly.tokenizer.encode(rendered.text, addSpecialTokens: false)
        let placed = Prompt(
            tokens: tokens, placeholder: assembly.files.configuration.imageToken,
            images: rendered.imageOrder.map { images[$0] })
        return (placed, rendered.start)
    }

    static func prepare(_ bytes: [UInt8], file: String, of assembly: ModelAssembly) throws -> PreparedImage {
        guard let processor = assembly.images else {
            throw PictureError(file: file, reason: "\(assembly.files.name) is a text model and cannot see pictures")
        }
        do throws(ImageError) { return try processor.prepare(try ImageDecoder.decode(bytes)) } catch {
            throw PictureError(file: file, reason: error.description)
        }
    }
}

/// A picture, or a model, that cannot take part in a chat.
struct PictureError: Error, Equatable, CustomStringConvertible {
    let file: String
    let reason: String
    var description: String { "\(file): \(reason)" }
}
