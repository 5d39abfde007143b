/// Why bytes are not a plan or a result. Peers are not trusted to be right: nothing is read beyond the end, nothing
/// is allocated that the bytes cannot fill.
package enum PlanCodingError: Error, Equatable {
    /// The value takes more than `limit` bytes.
    case tooLong(byteCount: Int, limit: Int)
    /// The bytes end within `field`.
    case truncated(field: String)
    case unknownFormat(UInt32)
    /// A value of `field` that no plan has.
    case invalid(field: String)
    case trailingBytes(count: Int)
}
