import MartletTensor

/// What an operation could not do, until somebody is told.
final class NotedFailure {
    /// nil while all is well.
    private(set) var noted: (any Error)?

    /// The first one stays.
    func note(_ error: any Error) {
        guard noted == nil else { return }
        noted = error
        if let error = error as? CUDAError, error.isLasting {
            noted = DeviceLost(reason: "The GPU is lost: \(error)")
        }
    }

    /// Throws what was noted: once, or, where the device is lost, ever again.
    func report() throws {
        guard let error = noted else { return }
        if !(error is DeviceLost) { noted = nil }
        throw error
    }
}
