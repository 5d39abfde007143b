import MartletCore
import MartletEngine
import Synchronization

/// What a test tells a `ScriptedModelRunner` to do, and what it reads back; shared between the test and the engine's
/// thread.
package final class RunnerScript: Sendable {
    package struct Directions: Sendable {
        /// Thrown by `launch` before the plan is applied.
        package var launchFault: (@Sendable (StepPlan) -> (any Error)?)?
        /// Thrown by `launch` after the plan was applied and half computed.
        package var midStepFault: (@Sendable (StepPlan) -> (any Error)?)?
        package var collectFault: (@Sendable (UInt64) -> (any Error)?)?
        /// The row of this admission's n-th generated token has logits that are not numbers.
        package var notANumber: (@Sendable (SlotAdmission, Int) -> Bool)?
        /// What is generated for a prompt; then the first stop token. nil: the hash decides.
        package var reply: (@Sendable (ArraySlice<TokenID>) -> [TokenID]?)?
        /// So many in 8 tokens are what followed their predecessor's last occurrence.
        package var repetition: UInt64 = 0
        /// Real time a step takes.
        package var stepTime = Duration.zero
        /// `launch` neither returns nor ticks until this is false or the engine stops.
        package var isStalled = false

        package init() {}
    }

    /// What the runner saw.
    package struct Counts: Sendable, Equatable {
        package var steps = 0
        package var rows = 0
        package var guesses = 0
        package var visionUnits = 0
        package var registrations = 0
        package var imageReleases = 0
        package var admissions = 0
        package var largestBatch = 0
        package var residentSlots = 0
        package var residentImages = 0
        /// Plans that the mirrored state does not allow: bugs of the scheduler.
        package var violations: [String] = []

        package init() {}
    }

    private let directionsState: Mutex<Directions>
    private let countsState = Mutex(Counts())

    package init(_ directions: Directions = Directions()) { directionsState = Mutex(directions) }

    package var directions: Directions {
        get { directionsState.withLock { $0 } }
        set { directionsState.withLock { $0 = newValue } }
    }

    package var counts: Counts { countsState.withLock { $0 } }
    package func count(_ change: (inout sending Counts) -> Void) { countsState.withLock { change(&$0) } }
}

/// A fault that a test planted.
package struct PlantedFault: Error, Equatable {
    package let name: String
    package init(_ name: String) { self.name = name }
}
