import MartletCore

/// What the choices of one request share.
package final class SequenceGroup {
    package let id: RequestID
    package let promptCount: Int
    /// Seconds of the engine's clock.
    package let arrivalTime: Double
    let rootKey: BlockKey
    package internal(set) var unfinishedCount: Int
    /// A step has been planned for one of them: the queue timeout is over.
    package internal(set) var isStarted = false
    /// Choice 0's prompt is in the prefix cache (or never will be): the others may come in.
    var isPromptShared: Bool

    init(
        id: RequestID, promptCount: Int, choiceCount: Int, arrivalTime: Double, rootKey: BlockKey, sharesPrompt: Bool
    ) {
        self.id = id
        self.promptCount = promptCount
        self.arrivalTime = arrivalTime
        self.rootKey = rootKey
        unfinishedCount = choiceCount
        isPromptShared = !sharesPrompt
    }
}
