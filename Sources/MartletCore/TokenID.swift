/// A row of the vocabulary. Signed, as files and kernels store it.
package typealias TokenID = Int32
