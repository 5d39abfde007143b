import Foundation
import NIOSSL

@testable import MartletServer

/// A certificate for `allowed.test` that signs itself (2020 to 2120) and its key, worth nothing anywhere else. Made
/// with `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes`, then `openssl ca -selfsign` with
/// `-startdate 20200101000000Z -enddate 21200101000000Z`, `CA:true` and the name; here as DER.
enum TestCertificate {
    static func serverContext() throws -> NIOSSLContext {
        try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: [.certificate(certificate())],
                privateKey: .privateKey(NIOSSLPrivateKey(bytes: bytes(key), format: .der))))
    }

    /// A client that trusts this certificate and no other.
    static func client() throws -> TLSClient { TLSClient(roots: .certificates([try certificate()])) }

    private static func certificate() throws -> NIOSSLCertificate {
        try NIOSSLCertificate(bytes: bytes(body), format: .der)
    }

    private static func bytes(_ text: String) -> [UInt8] {
        Data(base64Encoded: text).map(Array.init) ?? []
    }

    private static let key =
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9fTT6uE+Xk25WIOLaYzVw++Th2WqS+ormXH5Srl25bahRANCAASm"
        + "ryyIdVEusvTMT9oz+fhMmpMBI6zmy/So2P6hnsVUojomiVqWHsM8/zMW7riFv7sbS4dDPbE2kFQS6wTrNW/I"

    private static let body =
        "MIIBaTCCARCgAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxhbGxvd2VkLnRlc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEy"
        + "MDAxMDEwMDAwMDBaMBcxFTATBgNVBAMMDGFsbG93ZWQudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKavLIh1US6y9MxP"
        + "2jP5+EyakwEjrObL9KjY/qGexVSiOiaJWpYewzz/MxbuuIW/uxtLh0M9sTaQVBLrBOs1b8ijSzBJMA8GA1UdEwEB/wQFMAMBAf8w"
        + "FwYDVR0RBBAwDoIMYWxsb3dlZC50ZXN0MB0GA1UdDgQWBBTxj3kWbP4Grzkg48L0lofBmOFe8TAKBggqhkjOPQQDAgNHADBEAiA3"
        + "vQA/wuHWzOiq8C40aabUFM71WkQmDMSDeuIEtyZ1ggIgGUDPdj+dPa5qLFGOqkz8f6UboqLGMdaa1EVViH2gIFU="
}
