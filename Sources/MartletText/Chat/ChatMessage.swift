import MartletCore

/// One turn of a conversation, as the template will see it.
package struct ChatMessage: Sendable, Equatable {
    package enum Part: Sendable, Equatable {
        case text(String)
        /// The request's image with this index.
        case image(Int)
    }

    package enum Content: Sendable, Equatable {
        /// `null`, or no such field: an assistant turn that only calls tools.
        case absent
        case text(String)
        case parts([Part])
    }

    package var role: String
    package var content: Content
    /// Every other field of the message (`name`, `metadata`, `tool_calls`, `reasoning_content`, ...), in order.
    package var fields: JSONObject

    package init(role: String, content: Content, fields: JSONObject = JSONObject()) {
        self.role = role
        self.content = content
        self.fields = fields
    }

    package init(role: String, text: String) { self.init(role: role, content: .text(text)) }

    /// The text that would be continued.
    var lastText: String? {
        switch content {
        case .absent: nil
        case .text(let text): text
        case .parts(let parts):
            parts.reversed().lazy.compactMap { part in if case .text(let text) = part { text } else { nil } }.first
        }
    }

    /// The images of this turn, in order.
    package var images: [Int] {
        guard case .parts(let parts) = content else { return [] }
        return parts.compactMap { part in if case .image(let index) = part { index } else { nil } }
    }
}
