import MartletCore
import MartletText
import MartletVision

/// Messages to a prompt: media decoded and fitted to the context, template rendered, text encoded, each image's
/// placeholder widened to its tokens (steps 2 to 4 of a request's life).
struct RequestPreparation: Sendable {
    let model: ServedModel
    let configuration: ServerConfiguration
    let gate: WorkGate
    let fetcher: MediaFetcher
    let fetchGate: WorkGate

    /// Tokens kept free for the answer when images are shrunk (D16), where the request does not ask for fewer.
    static let reservedTokens = 512

    // MARK: - Chat

    func prepare(_ request: ChatCompletionRequest, now: Int) async throws(APIError) -> PreparedPrompt {
        guard let chat = model.chat else {
            throw .badRequest("\(model.name) has no chat template: use /v1/completions.", param: "messages")
        }
        let urls = request.messages.flatMap(\.imageURLs)
        let files = try await load(urls)
        let rendered: ChatPrompt
        do throws(ChatError) {
            rendered = try chat.render(
                messages: Self.chatMessages(request.messages), format: configuration.contentFormat,
                addGenerationPrompt: request.addsGenerationPrompt,
                continueFinalMessage: request.continuesFinalMessage, templateArguments: templateArguments(request),
                enableThinking: request.enablesThinking, now: now)
        } catch { throw APIError(error) }
        let tokens = model.tokenizer.encode(rendered.text, addSpecialTokens: request.addsSpecialTokens)
        var prepared = try await place(
            files, order: rendered.imageOrder, in: tokens, maxTokens: request.options.maxTokens)
        prepared.assembly.stops = request.options.stopStrings
        prepared.assembly.includesStop = request.options.includesStopString
        prepared.assembly.reasoning = reasoningMode(request)
        prepared.assembly.answerTags = chat.answerTags
        prepared.assembly.ignoresAnswerEnd = request.options.sampling.ignoresEndOfGeneration
        prepared.assembly.start = rendered.start
        return prepared
    }

    /// `return_reasoning: true` takes thoughts apart, `false` drops them, absent leaves it to the model.
    func reasoningMode(_ request: ChatCompletionRequest) -> ReasoningMode {
        switch request.returnsReasoning {
        case true?: configuration.keepsReasoningInContent ? .inContent : .separate
        case false?: .drop
        case nil: model.reasoning
        }
    }

    /// The server's, and the request's over them.
    func templateArguments(_ request: ChatCompletionRequest) -> JSONObject {
        var arguments = configuration.templateArguments
        for (name, value) in request.templateArguments.entries { arguments[name] = value }
        return arguments
    }

    /// Images are numbered in the order of the wire.
    static func chatMessages(_ messages: [WireMessage]) -> [ChatMessage] {
        var imageCount = 0
        return messages.map { message in
            var fields = JSONObject()
            if let name = message.name { fields["name"] = .string(name) }
            if let reasoning = message.reasoning { fields["reasoning_content"] = .string(reasoning) }
            if message.isPlain {
                guard case .text(let text)? = message.parts.first else {
                    return ChatMessage(role: message.role, content: .absent, fields: fields)
                }
                return ChatMessage(role: message.role, content: .text(text), fields: fields)
            }
            let parts = message.parts.map { part -> ChatMessage.Part in
                switch part {
                case .text(let text): return .text(text)
                case .image:
                    imageCount += 1
                    return .image(imageCount - 1)
                }
            }
            return ChatMessage(role: message.role, content: .parts(parts), fields: fields)
        }
    }

    // MARK: - Completions

    func prepare(
        _ input: CompletionRequest.Input, of request: CompletionRequest
    ) throws(APIError) -> PreparedPrompt {
        let tokens =
            switch input {
            case .text(let text): model.tokenizer.encode(text, addSpecialTokens: request.addsSpecialTokens)
            case .tokens(let tokens): tokens
            }
        guard !tokens.isEmpty else { throw .promptEmpty }
        // A placeholder without its image would be read as one.
        if let imageToken = model.imageToken, tokens.contains(imageToken) {
            throw .badRequest("The prompt spells the image placeholder: send images as chat messages.", param: "prompt")
        }
        try checkLength(tokens.count)
        var prepared = PreparedPrompt(prompt: Prompt(tokens: tokens))
        prepared.assembly.stops = request.options.stopStrings
        prepared.assembly.includesStop = request.options.includesStopString
        return prepared
    }

    /// The prompt must leave room for one token.
    func checkLength(_ count: Int) throws(APIError) {
        guard count < model.maxModelLength else {
            throw .promptTooLong(tokens: count, limit: model.maxModelLength)
        }
    }

    // MARK: - Images

    /// A picture as it came, and its upright size from the header.
    private struct ImageFile: Sendable {
        let bytes: [UInt8]
        let width, height: Int
    }

    private func load(_ urls: [String]) async throws(APIError) -> [ImageFile] {
        guard !urls.isEmpty else { return [] }
        guard model.images != nil, model.imageToken != nil else { throw .notMultimodal(model.name) }
        let limits = configuration.imageLimits
        let loader = MediaLoader(localMediaPath: configuration.localMediaPath, imageLimits: limits)
        let fetched = try await fetch(urls)
        return try await gate.run { () throws(APIError) in
            var files: [ImageFile] = []
            for (url, bytes) in zip(urls, fetched) {
                let bytes = if let bytes { bytes } else { try loader.bytes(of: url) }
                files.append(try Self.open(bytes, limits: limits))
            }
            return files
        }
    }

    /// The bytes of what is remote, nil elsewhere. All of a request together are no larger than a body may be, so that
    /// a URL is no longer lever than a `data:` URL.
    private func fetch(_ urls: [String]) async throws(APIError) -> [[UInt8]?] {
        var left = configuration.limits.bodyBytes
        var fetched: [[UInt8]?] = []
        for url in urls {
            guard MediaLoader.isRemote(url) else {
                fetched.append(nil)
                continue
            }
            let limit = min(left, configuration.imageLimits.compressedBytes)
            let bytes = try await fetchGate.hold { () async throws(APIError) in
                do throws(FetchError) { return try await fetcher.bytes(of: url, limit: limit) } catch {
                    throw APIError(error)
                }
            }
            left -= bytes.count
            fetched.append(bytes)
        }
        return fetched
    }

    private static func open(_ bytes: [UInt8], limits: ImageLimits) throws(APIError) -> ImageFile {
        do throws(ImageError) {
            let size = try ImageDecoder.size(of: bytes, limits: limits)
            return ImageFile(bytes: bytes, width: size.width, height: size.height)
        } catch { throw APIError(error) }
    }

    /// Decodes, fits and places `files`. `order[k]` is the image of the k-th placeholder in `tokens`.
    private func place(
        _ files: [ImageFile], order: [Int], in tokens: [TokenID], maxTokens: Int?
    ) async throws(APIError) -> PreparedPrompt {
        let placeholders = model.imageToken.map { token in tokens.reduce(0) { $0 + ($1 == token ? 1 : 0) } } ?? 0
        guard placeholders == order.count, order.count == files.count, order.allSatisfy(files.indices.contains) else {
            throw .badRequest(
                "The conversation has \(files.count) images, but its prompt has \(placeholders) image placeholders.",
                param: "messages")
        }
        guard let processor = model.images, let imageToken = model.imageToken, !files.isEmpty else {
            try checkLength(tokens.count)
            return PreparedPrompt(prompt: Prompt(tokens: tokens))
        }
        let edges = try fit(files, textTokens: tokens.count - files.count, maxTokens: maxTokens, by: processor)
        var images: [PreparedImage] = []
        for (file, edge) in zip(files, edges) {
            let limits = configuration.imageLimits
            images.append(
                try await gate.run { () throws(APIError) in
                    do throws(ImageError) {
                        return try processor.prepare(
                            try ImageDecoder.decode(file.bytes, limits: limits), longestEdge: edge)
                    } catch { throw APIError(error) }
                })
        }
        let placed = order.map { images[$0] }
        var prepared = PreparedPrompt(
            prompt: Prompt(tokens: tokens, placeholder: imageToken, images: placed))
        try checkLength(prepared.prompt.tokens.count)
        for (image, edge) in zip(images, edges) where edge != nil {
            prepared.fits.append(
                ImageFitNote(
                    originalWidth: image.originalWidth, originalHeight: image.originalHeight, width: image.width,
                    height: image.height))
        }
        return prepared
    }

    /// The pixel limit of each image; nil = the model's own. Throws when the prompt cannot fit.
    private func fit(
        _ files: [ImageFile], textTokens: Int, maxTokens: Int?, by processor: ImageProcessor
    ) throws(APIError) -> [Int?] {
        do {
            var total = textTokens
            for file in files { total += try processor.size(width: file.width, height: file.height).tokenCount }
            let reserve = min(maxTokens ?? Self.reservedTokens, Self.reservedTokens)
            guard total + reserve > model.maxModelLength else { return files.map { _ in nil } }
            if configuration.fitsImages {
                let sizes = files.map { (width: $0.width, height: $0.height) }
                let budget = model.maxModelLength - reserve - textTokens
                if let fitted = try processor.fit(images: sizes, tokenBudget: budget) {
                    return fitted.map(\.longestEdge)
                }
            }
            guard total < model.maxModelLength else {
                throw APIError.promptTooLong(tokens: total, limit: model.maxModelLength)
            }
            // It fits as it is, with less room for the answer than we would have liked.
            return files.map { _ in nil }
        } catch let error as ImageError { throw APIError(error) } catch let error as APIError { throw error } catch {
            throw .internalError
        }
    }
}

extension APIError {
    package init(_ error: ChatError) {
        switch error {
        case .reservedArgument: self = .badRequest(error.description, param: "chat_template_kwargs")
        case .cannotContinue: self = .badRequest(error.description, param: "continue_final_message")
        case .template, .imageCount: self = .badRequest(error.description, param: "messages")
        }
    }
}
