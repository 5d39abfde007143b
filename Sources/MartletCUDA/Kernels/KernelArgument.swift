import CCUDA

/// What a kernel takes by value: of just the size that its parameter has.
protocol KernelArgument: BitwiseCopyable {}

/// An address on the device.
extension UInt64: KernelArgument {}
extension Int64: KernelArgument {}
extension Int32: KernelArgument {}
extension UInt32: KernelArgument {}
extension Float: KernelArgument {}

/// The addresses of a kernel's arguments, as the driver takes them.
struct KernelArguments {
    private static let limit = 32
    private let addresses: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let values: UnsafeMutablePointer<UInt64>
    private var count = 0

    private init(_ room: UnsafeMutableBufferPointer<UInt64>) {
        guard let start = room.baseAddress else { preconditionFailure("no room for arguments") }
        values = start
        addresses = UnsafeMutableRawPointer(start + Self.limit)
            .bindMemory(to: UnsafeMutableRawPointer?.self, capacity: Self.limit)
    }

    private mutating func append(_ value: some KernelArgument) {
        precondition(count < Self.limit, "too many arguments")
        let place = UnsafeMutableRawPointer(values + count)
        place.storeBytes(of: value, as: type(of: value))
        addresses[count] = place
        count += 1
    }

    /// Lends the addresses of copies of `values`, which lie on the stack.
    static func with<each Value: KernelArgument, Result>(
        _ values: repeat each Value, body: (UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * limit) { room in
            var arguments = KernelArguments(room)
            repeat arguments.append(each values)
            return body(arguments.addresses)
        }
    }
}
