import MartletCore

/// Pixels that the runner must have before a plan that names them.
package struct ImageRegistration: Sendable {
    package let id: ImageID
    package let image: PreparedImage
}
