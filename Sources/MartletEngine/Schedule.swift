/// What one look at the queues brought.
package struct Schedule {
    /// nil: there is nothing to launch before a step in flight is collected or a request comes.
    package var step: ScheduledStep?
    /// Requests that were admitted or that waited too long.
    package var actions: [EngineAction]
}
