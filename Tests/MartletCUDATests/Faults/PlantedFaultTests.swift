import Testing

/// That the emulation, and the comparison with the twins, find what is wrong: every planted fault, not most of them.
@Suite struct PlantedFaultTests {
    @Test func everyPlantedFaultIsCaught() throws {
        let faults = DriverFaults.all + KernelFaults.all
        var missed: [String] = []
        for fault in faults where try !fault.isCaught() { missed.append(fault.description) }
        print("planted \(faults.count) faults, caught \(faults.count - missed.count)")
        #expect(missed == [])
    }

    /// Else the count above would say nothing.
    @Test func nothingIsCaughtWhereNothingIsWrong() throws {
        for control in KernelFaults.controls { #expect(try !control.isCaught()) }
    }
}
