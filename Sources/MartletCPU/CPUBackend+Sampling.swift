import CMartletKernels
import MartletCore
import MartletTensor

// MARK: - Choice

extension CPUBackend {
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
