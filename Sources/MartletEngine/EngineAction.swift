/// What the scheduler wants said to a client. The engine says it after the decision is made.
package struct EngineAction: Sendable, Equatable {
    package let request: RequestID
    package let event: GenerationEvent

    package init(_ request: RequestID, _ event: GenerationEvent) {
        self.request = request
        self.event = event
    }
}

/// What one look at the queues brought.
package struct Schedule {
    /// nil: there is nothing to launch before a step in flight is collected or a request comes.
    package var step: ScheduledStep?
    /// Requests that were admitted or that waited too long.
    package var actions: [EngineAction]
}

/// A plan and the pixels that the runner must have first.
package struct ScheduledStep: Sendable {
    package var registrations: [ImageRegistration]
    package var plan: StepPlan
}
