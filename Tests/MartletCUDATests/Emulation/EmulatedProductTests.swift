import CCUDA
import CUDAEmulation
import Testing

/// That cuBLASLt's products are sums, by columns, and that it takes no argument that the library would refuse.
@Suite struct EmulatedProductTests {
    @Test(arguments: [
        EmulatedProduct(rows: 5, columns: 3, depth: 7),
        EmulatedProduct(rows: 5, columns: 3, depth: 7, isTransposedA: true),
        EmulatedProduct(rows: 4, columns: 6, depth: 17, isTransposedB: true),
        EmulatedProduct(rows: 9, columns: 2, depth: 33, isTransposedA: true, isTransposedB: true, hasBias: true),
        EmulatedProduct(rows: 8, columns: 8, depth: 16, isTransposedA: true, type: CUDA_R_16F),
        EmulatedProduct(rows: 3, columns: 5, depth: 24, hasBias: true, type: CUDA_R_16F, result: CUDA_R_16F),
        EmulatedProduct(rows: 3, columns: 5, depth: 24, isTransposedA: true, type: CUDA_R_16BF, result: CUDA_R_16BF),
    ])
    func productsAreSums(_ product: EmulatedProduct) throws {
        let device = try EmulatedDevice()
        let (status, values) = try product.run(on: device)
        #expect(status == CUBLAS_STATUS_SUCCESS)
        #expect(values == product.sums)
        #expect(device.close() == [])
    }

    @Test func addressesAreAsAlignedAsTheAlgorithmWasToldThatTheyAre() throws {
        let device = try EmulatedDevice()
        let product = EmulatedProduct(rows: 8, columns: 2, depth: 8)
        #expect(try product.run(on: device, shift: 16).0 == CUBLAS_STATUS_INVALID_VALUE)
        #expect(try product.run(on: device, shift: 16, alignment: 16).0 == CUBLAS_STATUS_SUCCESS)
        #expect(device.close() == [])
    }

    @Test func typesThatDoNotGoTogetherAreRefused() throws {
        let device = try EmulatedDevice()
        let product = EmulatedProduct(rows: 8, columns: 2, depth: 8, type: CUDA_R_16F, result: CUDA_R_16BF)
        #expect(try product.run(on: device).0 == CUBLAS_STATUS_NOT_SUPPORTED)
        #expect(device.close() == [])
    }
}
