import MartletCore

/// Block keys of what requests have in common, which most of them begin with: hashed once. They are what
/// `BlockKey.chain` gives.
struct SharedKeys {
    private struct Name: Hashable {
        let prefix: UInt64
        let prefixTokens: Int
        let conversation: UInt64
    }

    private let configuration: EngineConfiguration
    private let blockSize: Int
    private var chains: [Name: [BlockKey]] = [:]

    /// Conversations that are remembered; beyond, all are forgotten.
    private static let limit = 100_000

    init(_ configuration: EngineConfiguration, blockSize: Int) {
        self.configuration = configuration
        self.blockSize = blockSize
    }

    /// Of the whole of `prompt`, which is that of `request`.
    mutating func keys(of prompt: Prompt, _ request: SimulatedRequest) -> [BlockKey] {
        guard configuration.enablePrefixCaching else { return [] }
        let name = Name(
            prefix: request.prefix, prefixTokens: request.prefixTokens, conversation: request.conversation)
        let shared = request.sharedTokens / blockSize
        let known = chains[name] ?? []
        let keys = BlockKey.chain(
            of: prompt, blockSize: blockSize, modelIdentity: configuration.modelIdentity, salt: "",
            known: known.prefix(shared))
        guard shared > known.count else { return keys }
        if chains.count >= Self.limit { chains = [:] }
        chains[name] = Array(keys.prefix(shared))
        return keys
    }
}
