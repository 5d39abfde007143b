/// What the scheduler wants said to a client. The engine says it after the decision is made.
package struct EngineAction: Sendable, Equatable {
    package let request: RequestID
    package let event: GenerationEvent

    package init(_ request: RequestID, _ event: GenerationEvent) {
        self.request = request
        self.event = event
    }
}
