/// Who sends requests to a simulation, and when.
package protocol SimulatedLoad {
    /// What is sent whatever becomes of it, in any order.
    mutating func begin() -> [SimulatedRequest]
    /// What the sender of `request` sends once it has its whole answer, at `now`.
    mutating func next(after request: SimulatedRequest, now: Double) -> SimulatedRequest?
}

/// Requests at given times.
extension Array: SimulatedLoad where Element == SimulatedRequest {
    package mutating func begin() -> [SimulatedRequest] { self }
    package mutating func next(after request: SimulatedRequest, now: Double) -> SimulatedRequest? { nil }
}

/// Phones, each in a task of some steps (API.md 3.1): a step shows a new screenshot and repeats what was said, with the
/// older pictures taken out; the next is sent when the phone has acted on the answer. All have the same system prompt.
package struct PhoneAgents: SimulatedLoad {
    /// Of AutoGLM's prompts: the system prompt, a screen of 1080 x 2400 and the words beside it.
    package static let systemTokens = 2200
    package static let imageTokens = 3108
    package static let turnTokens = 32
    /// Thoughts and an action.
    package static let answerTokens = 100...250
    /// Between an answer and the next screen.
    package static let actSeconds = 1.0...4.0
    /// Agents begin within this time.
    package static let startSeconds = 60.0

    package let agentCount: Int
    package let stepCount: Int
    private var random: [SeedSource]
    private var stepsLeft: [Int]

    package init(agentCount: Int, stepCount: Int) {
        self.agentCount = agentCount
        self.stepCount = stepCount
        random = (0..<agentCount).map { SeedSource(seed: UInt64($0)) }
        stepsLeft = Array(repeating: stepCount, count: agentCount)
    }

    package mutating func begin() -> [SimulatedRequest] {
        (0..<agentCount).map { agent in
            step(of: agent, history: 0, at: draw(agent) * Self.startSeconds)
        }
    }

    package mutating func next(after request: SimulatedRequest, now: Double) -> SimulatedRequest? {
        let agent = request.sender
        stepsLeft[agent] -= 1
        guard stepsLeft[agent] > 0 else { return nil }
        let pause = Self.actSeconds.lowerBound
            + draw(agent) * (Self.actSeconds.upperBound - Self.actSeconds.lowerBound)
        return step(
            of: agent, history: request.conversationTokens + Self.turnTokens + request.outputTokens, at: now + pause)
    }

    private mutating func step(of agent: Int, history: Int, at time: Double) -> SimulatedRequest {
        let span = Double(Self.answerTokens.upperBound - Self.answerTokens.lowerBound + 1)
        var request = SimulatedRequest(
            promptTokens: Self.systemTokens + history + Self.imageTokens + Self.turnTokens,
            outputTokens: Self.answerTokens.lowerBound + Int(draw(agent) * span))
        request.arrival = time
        request.prefixTokens = Self.systemTokens
        request.conversation = UInt64(agent)
        request.conversationTokens = history
        request.imageTokens = Self.imageTokens
        request.sender = agent
        return request
    }

    /// 0 ..< 1
    private mutating func draw(_ agent: Int) -> Double { Double(random[agent].next() >> 11) * 0x1p-53 }
}
