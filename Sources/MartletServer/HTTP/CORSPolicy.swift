/// Which web pages may call. Off unless origins are named.
package struct CORSPolicy: Sendable, Equatable {
    /// `*` allows every origin.
    package var origins: [String] = []
    package var methods = ["*"]
    package var headers = ["*"]
    package var allowsCredentials = false

    package init() {}
}
