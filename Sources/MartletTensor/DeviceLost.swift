/// A device that will compute nothing more, whatever it is asked: the rank that has it is gone.
package struct DeviceLost: Error, Equatable, CustomStringConvertible {
    package let reason: String

    package init(reason: String) { self.reason = reason }

    package var description: String { reason }
}
