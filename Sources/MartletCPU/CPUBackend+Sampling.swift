import CMartletKernels
import MartletCore
import MartletTensor

// MARK: - Choice

extension CPUBackend {
    package func choose(_ logits: Activation<Storage>, _ requests: [SampleRequest]) -> [SampledToken?] {
        let chosen = sample(logits, requests.contains(where: \.countsKept) ? requests.map(counted) : requests)
        for (request, token) in zip(requests, chosen) {
            if let place = request.place { keptTokens[place] = token?.token }
        }
        return chosen
    }

    package func tokens(of choice: [SampledToken?]) -> [SampledToken?] { choice }

    /// With the kept token among those that were generated.
    private func counted(_ request: SampleRequest) -> SampleRequest {
        guard request.countsKept, let kept = request.place.flatMap({ keptTokens[$0] }) else { return request }
        var counted = request
        counted.generatedCounts[kept, default: 0] += 1
        return counted
    }

    /// What was chosen is not kept anywhere.
    package func sample(_ logits: Activation<Storage>, _ requests: [SampleRequest]) -> [SampledToken?] {
        precondition(logits.rows == requests.count, "sample: one request a row")
        return Array(unsafeUninitializedCapacity: requests.count) { results, count in
            count = requests.count
            guard let first = results.baseAddress else { return }
            pool.parallel(count) { row in
                let values = UnsafeBufferPointer(start: logits.row(row), count: logits.width)
                let sampler = RowSampler(kernels: kernels, logits: values, request: requests[row])
                (first + row).initialize(to: sampler.sample())
            }
        }
    }
}
