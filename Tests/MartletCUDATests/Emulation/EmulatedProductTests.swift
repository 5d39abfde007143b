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
        EmulatedProduct(rows: 32, columns: 5, depth: 48, isTransposedA: true, type: CUDA_R_8I, result: CUDA_R_32I),
        EmulatedProduct(rows: 16, columns: 3, depth: 32, isTransposedA: true, type: CUDA_R_8F_E4M3),
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

    /// Types that do not go together; bytes that are not in pieces of 16, or not along K.
    @Test(arguments: [
        EmulatedProduct(rows: 8, columns: 2, depth: 8, type: CUDA_R_16F, result: CUDA_R_16BF),
        EmulatedProduct(rows: 16, columns: 2, depth: 16, isTransposedA: true, type: CUDA_R_8I),
        EmulatedProduct(rows: 24, columns: 2, depth: 16, isTransposedA: true, type: CUDA_R_8I, result: CUDA_R_32I),
        EmulatedProduct(rows: 16, columns: 2, depth: 40, isTransposedA: true, type: CUDA_R_8F_E4M3),
        EmulatedProduct(rows: 16, columns: 2, depth: 16, type: CUDA_R_8I, result: CUDA_R_32I),
    ])
    func whatTheLibraryDoesNotTakeIsRefused(_ product: EmulatedProduct) throws {
        let device = try EmulatedDevice()
        #expect(try product.run(on: device).0 == CUBLAS_STATUS_NOT_SUPPORTED)
        #expect(device.close() == [])
    }

    @Test func smallFloatsNeedADeviceThatHasThem() throws {
        let device = try EmulatedDevice { $0.architecture = 87 }
        let product = EmulatedProduct(rows: 16, columns: 2, depth: 16, isTransposedA: true, type: CUDA_R_8F_E4M3)
        #expect(try product.run(on: device).0 == CUBLAS_STATUS_NOT_SUPPORTED)
        #expect(device.close() == [])
    }
}
