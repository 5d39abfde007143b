/// The runner will not run again, whatever it is asked: a rank is gone. The engine ends with it.
package struct RunnerLost: Error, Equatable, CustomStringConvertible {
    package let reason: String

    package init(reason: String) { self.reason = reason }

    package var description: String { reason }
}
