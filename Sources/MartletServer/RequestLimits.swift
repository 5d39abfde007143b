/// How much one request may ask for. Exceeding a limit is a 4xx that names it.
package struct RequestLimits: Sendable, Equatable {
    /// Counted while the body streams in.
    package var bodyBytes = 32 << 20
    package var headerFields = 100
    package var headerBytes = 16 << 10
    package var choices = 16
    package var stopStrings = 16
    /// UTF-8 bytes of one stop string.
    package var stopStringBytes = 4096
    package var stopTokens = 1024
    package var topLogprobs = 20
    package var logitBiases = 1024
    /// Prompts of one completions request.
    package var prompts = 128
    package var messages = 4096
    /// Content parts of one message.
    package var parts = 1024
    package var images = 16
    /// Images being decoded at once, over all requests.
    package var concurrentDecodes = 2
    /// Pictures being fetched at once, over all requests.
    package var concurrentFetches = 8
    /// Seconds a connection may idle between or inside requests.
    package var idleSeconds = 30
    /// Seconds a client may leave our writes unread.
    package var stalledWriteSeconds = 30

    package init() {}
}
