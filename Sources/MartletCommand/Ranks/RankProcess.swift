import Foundation
import Logging
import MartletCore
import MartletModels
import MartletParallel

/// This process as one rank of a model, among those that a launcher started (D14): what it computes with the others
/// goes over MPI, what it is told over the rank link.
final class RankProcess: Sendable {
    let rank: Int
    let seats: RankSeats
    let link: RankLink
    /// What rank 0 tells this one.
    let orders: MessageQueue<RankOrder>
    private let world: MPIWorld

    var breakUp: BreakUp { world.breakUp }

    /// Ranks on this machine.
    var neighbours: [Int] { seats.neighbours(of: rank) }

    /// All ranks, with messages of their own: every rank asks at the same place.
    func communicator(stageCount: Int = 1) -> MPICommunicator {
        world.communicator(messageLimit: StageLink.messageLimit(stageCount: stageCount))
    }

    /// Whether `settings` and the launcher ask for it. Throws what can't be meant.
    static func isAsked(_ settings: ServeSettings, environment: [String: String]) throws -> Bool {
        let count = MPIWorld.launchedCount(environment: environment)
        guard settings.executor != .mpi || count > 1 else {
            try MPIWorld.check(environment: environment)
            throw UsageError(
                "--distributed-executor-backend mpi: no launcher has started this process beside others. Start it with "
                    + "`mpirun -np \(settings.model.parallel.rankCount) martlet serve …`.")
        }
        return settings.executor == .mpi || count > 1 && settings.executor == nil
    }

    /// Finds the other ranks, and returns when all have come and are configured alike. Every rank throws if one can't
    /// take part, with the words of the one that can't: `check` says whether rank 0 can serve.
    init(
        _ settings: ServeSettings, environment: [String: String], check: () throws -> Void
    ) throws {
        world = try MPIWorld(environment: environment)
        rank = world.rank
        let communicator = world.communicator()
        seats = try RankSeats(of: communicator)
        var complaint: String?
        var agreement = RankAgreement([])
        do {
            try Self.checkSize(settings.model.parallel, launched: world.size)
            if rank == 0 { try check() }
            agreement = try RankAgreement(settings, environment: environment)
        } catch {
            complaint = "\(error)"
        }
        let orders = MessageQueue<RankOrder>()
        self.orders = orders
        let host = settings.rankLinkHost ?? Self.loopback
        if rank == 0 {
            let meeting = try LinkMeeting(host: host)
            let secret = LinkMeeting.nonce()
            let invitation = Invitation(host: host, port: meeting.port, secret: secret)
            _ = try communicator.exchange(invitation.encoded())
            try Self.checkReach(seats, host: invitation.host)
            let terms = LinkTerms(
                secret: secret, rank: 0, worldSize: world.size, agreement: agreement, complaint: complaint)
            link = try meeting.gather(terms, breakUp: world.breakUp)
        } else {
            let found = try communicator.exchange([])[0]
            let invitation = try Invitation(decoding: found)
            try Self.checkReach(seats, host: invitation.host)
            let terms = LinkTerms(
                secret: invitation.secret, rank: rank, worldSize: world.size, agreement: agreement,
                complaint: complaint)
            link = try LinkMeeting.join(
                host: invitation.host, port: invitation.port, terms: terms, breakUp: world.breakUp,
                onOrder: { orders.put(try RankOrder(decoding: $0)) }, onEnd: { orders.close() })
        }
        world.breakUp.listen { _ in orders.close() }
    }

    private static let loopback = "127.0.0.1"

    private static func checkReach(_ seats: RankSeats, host: String) throws(UsageError) {
        guard host == loopback, !seats.isOneNetwork else { return }
        throw UsageError(
            "The ranks run on several hosts, and rank 0 listens to its own only. Name the address of rank 0's host "
                + "that the others reach: --rank-link-host ADDRESS.")
    }

    private static func checkSize(_ size: ParallelSize, launched: Int) throws(UsageError) {
        guard size.rankCount == launched else {
            let copies = size.data == 1 ? "" : " times --data-parallel-size \(size.data)"
            throw UsageError(
                "\(launched) ranks were started, and --tensor-parallel-size \(size.tensor) times "
                    + "--pipeline-parallel-size \(size.pipeline)\(copies) makes \(size.rankCount): start "
                    + "`mpirun -np \(size.rankCount) martlet serve …`.")
        }
    }

    // MARK: Ranks that follow

    /// The life of any rank but 0: loads its part of the model and does what rank 0 says. Signals are rank 0's to deal
    /// with: a launcher sends them to all, and rank 0 may have streams to finish.
    func follow(_ settings: ServeSettings, environment: [String: String], logger: Logger) {
        endWhenBroken(logger)
        signal(SIGTERM, SIG_IGN)
        signal(SIGINT, SIG_IGN)
        do {
            if let name = settings.instructionSet { setenv("MARTLET_FORCE_ISA", name, 1) }
            let files = try ModelFiles.open(
                settings.model.model, loadFormat: settings.model.loadFormat, environment: environment)
            let read = Guarded(0)
            let loaded = { (bytes: Int) in read.with { $0 += bytes } }
            let ready = {
                let bytes = LoadProgress.gibibytes(read.with { $0 })
                logger.info("Rank \(self.rank) has read \(bytes) GiB of weights and follows rank 0.")
            }
            switch settings.model.device {
            case .cpu:
                let machine = CPUHardware(options: settings.model)
                try RankAssembly(files, options: settings.model, on: machine, process: self)
                    .follow(self, loaded: loaded, ready: ready)
            case .cuda:
                let machine = try CUDAHardware(settings.model, files.configuration, environment: environment)
                try RankAssembly(files, options: settings.model, on: machine, process: self)
                    .follow(self, loaded: loaded, ready: ready)
            }
        } catch {
            breakUp.say("rank \(rank): \(error)")
        }
    }

    // MARK: The end

    /// How long streams have to say why they end, and a rank to leave what it computes. A launcher that misses a rank
    /// asks the others to end at once, and kills them a second later.
    private static let farewellSeconds = 0.4
    private static let leaveSeconds = 10.0

    /// When the ranks no longer work together, the process ends with 70: nothing goes on without the others, and
    /// whoever supervises it starts all of them again.
    func endWhenBroken(_ logger: Logger) {
        breakUp.listen { reason in
            let sentence = reason.hasSuffix(".") ? reason : reason + "."
            logger.critical("The ranks no longer work together: \(sentence) The process ends.")
            Self.exit(70, after: Self.farewellSeconds)
        }
    }

    /// All is done: leaves together with the other ranks, or ends with 70 where they are gone.
    func leave(_ logger: Logger) {
        if breakUp.isBroken { Self.pause(3600) }
        link.end()
        let thread = startThread(name: "martlet-leave") {
            Self.pause(Self.leaveSeconds)
            logger.critical("The other ranks did not leave within \(Int(Self.leaveSeconds)) s.")
            _exit(70)
        }
        if let thread { pthread_detach(thread) }
        world.leave()
    }

    /// From a thread of its own, whatever the others do; nothing of MPI is asked.
    private static func exit(_ code: Int32, after seconds: Double) {
        let thread = startThread(name: "martlet-exit") {
            pause(seconds)
            _exit(code)
        }
        if let thread { pthread_detach(thread) } else { _exit(code) }
    }

    private static func pause(_ seconds: Double) { Thread.sleep(forTimeInterval: seconds) }
}

/// Where rank 0 waits for the others, and what proves that they are of its world. Goes over MPI.
private struct Invitation {
    let host: String
    let port: Int
    let secret: [UInt8]

    /// "MSV" and the version.
    private static let format: UInt32 = 0x0156_534D

    init(host: String, port: Int, secret: [UInt8]) {
        self.host = host
        self.port = port
        self.secret = secret
    }

    func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        writer.write(text: host)
        writer.write(size: port)
        writer.write(bytes: secret)
        return try writer.finish(limit: 4096)
    }

    init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        var reader = try PlanReader(bytes, format: Self.format, limit: 4096)
        host = try reader.text("host")
        port = try reader.size("port")
        secret = try reader.bytes("secret")
        try reader.finish()
    }
}
