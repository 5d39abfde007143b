/// The server's name and version, as headers, metrics and answers give it.
package enum MartletVersion {
    package static let number = "0.1.0"
    package static let fingerprint = "martlet-\(number)"
}
