/// How `continue_final_message` leaves the last turn open: a mark is put after its text, and the rendering is cut
/// there, as `apply_chat_template` does.
enum ContinuedText {
    /// Private scalars, so that no text holds it in earnest; the space shows whether the template trims.
    static let mark = "\u{F0C07}continue\u{F0C07} "

    /// - Parameter text: the last turn's, as the template was given it.
    /// - Throws: `.cannotContinue` if the template did not render the turn.
    static func cut(_ rendering: String, after text: String) throws(ChatError) -> (text: String, prefilled: String) {
        let trimmedMark = PythonText.stripped(mark, nil)
        let pieces = PythonText.splitFromRight(rendering, by: trimmedMark, limit: 1)
        guard pieces.count == 2 else { throw .cannotContinue("the chat template does not render the last message") }
        guard pieces[1].utf8.first != UInt8(ascii: " ") else { return (pieces[0], text) }
        return (PythonText.stripped(pieces[0], nil, left: false), PythonText.stripped(text, nil))
    }
}
