/// `2x24GiB`: equal devices.
struct DeviceList: Equatable {
    var count: Int
    /// Of one.
    var bytes: Int

    init(count: Int, bytes: Int) {
        self.count = count
        self.bytes = bytes
    }

    init(text: String) throws {
        let failure = UsageError("--devices: '\(text)' is not COUNTxSIZE such as 2x24GiB or 16GiB.")
        let halves = text.lowercased().split(separator: "x", omittingEmptySubsequences: false)
        guard halves.count <= 2, let size = halves.last else { throw failure }
        let count = halves.count == 2 ? Int(halves[0]) : 1
        let unit = size.hasSuffix("gib") ? 3 : size.hasSuffix("gb") ? 2 : size.hasSuffix("g") ? 1 : 0
        let scale = unit == 2 ? 1e9 : 1_073_741_824
        guard let count, (1...1024).contains(count), let gibibytes = Double(size.dropLast(unit)), gibibytes > 0,
            gibibytes < 1e6
        else { throw failure }
        self.init(count: count, bytes: Int(gibibytes * scale))
    }

    /// One device: the memory that is free here.
    static func thisMachine() throws -> DeviceList {
        guard let memory = HostMemory.read() else {
            throw UsageError("This machine's memory could not be read. Give --devices, e.g. --devices 16GiB.")
        }
        return DeviceList(count: 1, bytes: memory.available)
    }
}
