/// A plan and the pixels that the runner must have first.
package struct ScheduledStep: Sendable {
    package var registrations: [ImageRegistration]
    package var plan: StepPlan
}
