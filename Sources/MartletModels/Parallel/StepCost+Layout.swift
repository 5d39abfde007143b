import MartletEngine

extension StepCost {
    /// What steps of one copy take where its memory, its arithmetic and its links are the limit, one after the other:
    /// the weights are read once a step, every row is multiplied with all of them, and a decode reads its cache.
    /// `rate`: operations a second of one device.
    package init(
        _ layout: ParallelLayout, traffic: ParallelTraffic, time: DecodeTime, speeds: DeviceSpeeds,
        operationsPerSecond rate: Double, workload: RunnerWorkload
    ) {
        let ranks = Double(layout.size.tensor)
        let rowBytes = traffic.allReducesPerToken * traffic.sentBytesPerAllReduce
            + traffic.hopCount * traffic.hopBytes
        // Beside its messages, which many rows share.
        let rowLink = speeds.sending(rowBytes, messages: 0)
        let tower = layout.size.towerMode == .weights ? ranks : 1
        self.init(
            model: CostModel(
                step: time.seconds - rowLink, row: workload.operationsPerRow / rate / ranks + rowLink,
                pair: workload.operationsPerPair / rate / ranks,
                visionUnit: workload.operationsPerVisionUnit / rate / tower),
            cachedPosition: time.secondsPerPosition)
    }
}
