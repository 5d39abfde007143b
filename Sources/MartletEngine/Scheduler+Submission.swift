import MartletCore

/// What may enter the queue.
extension Scheduler {
    /// Most tokens a sequence may have: the context, or what the whole KV cache holds.
    package var longestSequence: Int { min(limits.maxModelLength, limits.blockCount * limits.blockSize) }

    /// Puts the choices of `request` into the queue. `visionUnits[i]` is what encoding its image i takes.
    /// Throws what `GenerationEngine.submit` throws; then nothing has changed but a counter.
    package mutating func add(
        _ request: GenerationRequest, id: RequestID, visionUnits: [Int], seed: UInt64, now: Double
    ) throws(EngineError) {
        do {
            try validate(request)
            try checkQueue(adding: request.prompt.tokens.count)
        } catch {
            counters.rejectedRequests += 1
            throw error
        }
        let choices = max(1, request.sampling.choiceCount)
        let promptCount = request.prompt.tokens.count
        let group = SequenceGroup(
            id: id, promptCount: promptCount, choiceCount: choices, arrivalTime: now,
            rootKey: BlockKey(modelIdentity: configuration.modelIdentity, salt: request.cacheSalt),
            sharesPrompt: configuration.enablePrefixCaching)
        let images = zip(request.prompt.images, visionUnits).map {
            SequenceImage(image: $0.image, offset: $0.offset, unitCount: $1)
        }
        let room = longestSequence - promptCount
        let priority = configuration.schedulingPolicy == .priority ? request.priority : 0
        for choice in 0..<choices {
            waiting.insertInOrder(
                TokenSequence(
                    group: group, choice: choice, request: request, images: images, seed: seed,
                    endTokens: configuration.endTokens,
                    tokenLimit: promptCount + min(max(1, request.sampling.maxTokens), room),
                    order: SequenceOrder(priority: priority, arrival: nextArrival, choice: choice),
                    speculation: configuration.speculation, hasLookahead: hasLookahead))
        }
        nextArrival += 1
    }

    func validate(_ request: GenerationRequest) throws(EngineError) {
        let tokens = request.prompt.tokens
        if tokens.isEmpty { throw .promptEmpty }
        if let stranger = tokens.first(where: { $0 < 0 || Int($0) >= limits.vocabularyCount }) {
            throw .invalidToken(stranger)
        }
        if tokens.count >= limits.maxModelLength {
            throw .promptTooLong(tokens: tokens.count, limit: limits.maxModelLength)
        }
        if tokens.count >= longestSequence { throw .exceedsCache(tokens: tokens.count, limit: longestSequence) }
        var free = 0
        var distinct: [Digest: Int] = [:]
        for placed in request.prompt.images {
            let count = placed.image.tokenCount
            // An image that has no room where it stands, or stands in another.
            guard placed.offset >= free, count > 0, count <= tokens.count - placed.offset else {
                throw .imageTooLarge(tokens: count, limit: max(0, tokens.count - max(free, placed.offset)))
            }
            if count > limits.maxImageTokens { throw .imageTooLarge(tokens: count, limit: limits.maxImageTokens) }
            free = placed.offset + count
            distinct[placed.image.contentHash] = count
        }
        let total = distinct.values.reduce(0, +)
        if total > limits.encoderCacheTokens { throw .imageTooLarge(tokens: total, limit: limits.encoderCacheTokens) }
    }

    private func checkQueue(adding tokenCount: Int) throws(EngineError) {
        let fresh = waiting.filter { $0.choice == 0 && !$0.group.isStarted }
        if fresh.count >= max(1, configuration.maxWaitingRequests) { throw .queueFull }
        let tokens = fresh.reduce(0) { $0 + $1.promptCount }
        if !fresh.isEmpty, tokens + tokenCount > configuration.maxWaitingTokens { throw .queueFull }
    }
}
