/// The thread on which a request's events are read: the events of a step go there in one piece, so that it wakes once
/// for all its requests.
package protocol EventRoute: Sendable {
    /// Routes to one thread have the same.
    var thread: ObjectIdentifier { get }
    /// Does `work` there, after what it was given before. Never waits.
    func run(_ work: @escaping @Sendable () -> Void)
}
