import MartletCore

/// A parsed Jinja chat template, set up as Hugging Face's `apply_chat_template` does: blocks trimmed and left-stripped,
/// no trailing newline, no escaping, undefined values empty (MODEL.md 5.3).
///
/// Nothing a template does can reach a file, a clock it was not given, or another request; `TemplateLimits` bounds
/// what it costs.
package struct ChatTemplate: Sendable {
    /// As given.
    package let source: String
    /// Where the source came from; only for messages.
    package let file: String
    private let body: [TemplateStatement]

    /// - Throws: `TemplateError` of kind `.syntax`, `.unsupported` or `.limit`, with file and line.
    package init(source: String, file: String) throws(TemplateError) {
        guard source.utf8.count <= TemplateLimits.sourceBytes else {
            throw TemplateError(.limit, "longer than \(TemplateLimits.sourceBytes) bytes", file: file, line: 1)
        }
        self.source = source
        self.file = file
        var parser = TemplateParser(try TemplateLexer.tokens(of: source, file: file), file: file)
        body = try parser.template()
    }

    /// Renders with `variables` as the template's globals (`messages`, `add_generation_prompt`, `bos_token`, ...).
    ///
    /// - Parameter now: what `strftime_now` tells, in seconds since 1970, in local time.
    /// - Throws: `TemplateError`; `.raised` is the template refusing the conversation.
    package func render(
        _ variables: JSONObject, limits: TemplateLimits = TemplateLimits(), now: Int = 0
    ) throws(TemplateError) -> String {
        let interpreter = TemplateInterpreter(file: file, limits: limits, now: now)
        return try interpreter.render(body, variables: variables)
    }
}
