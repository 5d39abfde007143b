import CCUDA

/// What a rank has for exchanges by NCCL, as it tells the others.
struct NCCLOffer: Equatable {
    /// 22005 for NCCL 2.20.5; 0: there is none.
    let version: Int
    /// 16 bytes, of the GPU.
    let device: [UInt8]

    init(version: Int, device: [UInt8]) { (self.version, self.device) = (version, device) }

    init(of device: CUDADevice) throws(CUDAError) {
        self.init(version: NCCLCommunicator.version(of: device.library) ?? 0, device: try device.identity())
    }

    /// The version in four bytes, the lowest first, then the GPU.
    var encoded: [UInt8] { (0..<4).map { UInt8(version >> (8 * $0) & 255) } + device }

    init(decoding bytes: [UInt8]) {
        version = bytes.prefix(4).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        device = Array(bytes.dropFirst(4))
    }

    /// "2.20.5".
    var versionText: String { "\(version / 10000).\(version / 100 % 100).\(version % 100)" }

    /// Why ranks, each with an offer in their order, cannot exchange by NCCL; nil if they can. The same on every rank.
    static func objection(to offers: [NCCLOffer]) -> String? {
        for (rank, offer) in offers.enumerated() {
            if offer.version == 0 { return "rank \(rank) has no libnccl" }
            if offer.version < NCCLCommunicator.leastVersion {
                return "rank \(rank) has NCCL \(offer.versionText), 2.11 is needed"
            }
            if offer.version != offers[0].version {
                return "rank \(rank) has NCCL \(offer.versionText), rank 0 \(offers[0].versionText)"
            }
            if let other = offers[..<rank].firstIndex(where: { $0.device == offer.device }) {
                return "ranks \(other) and \(rank) share a GPU"
            }
        }
        return nil
    }
}
