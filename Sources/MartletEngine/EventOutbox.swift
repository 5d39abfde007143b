/// Events that are said but not yet on their way.
struct EventOutbox {
    private struct Delivery {
        let event: GenerationEvent
        let unfinishedCount: Int
        let sink: EventSink

        func make() { sink.send(event, unfinishedCount: unfinishedCount) }
    }

    private var direct: [Delivery] = []
    private var routed: [ObjectIdentifier: (route: any EventRoute, deliveries: [Delivery])] = [:]

    /// `unfinishedCount` choices of its request have not finished after `event`.
    mutating func put(_ event: GenerationEvent, unfinishedCount: Int, for sink: EventSink) {
        let delivery = Delivery(event: event, unfinishedCount: unfinishedCount, sink: sink)
        if let route = sink.route {
            routed[route.thread, default: (route, [])].deliveries.append(delivery)
        } else {
            direct.append(delivery)
        }
    }

    /// Sends all, those of one request in the order they were put.
    mutating func post() {
        for delivery in direct { delivery.make() }
        direct.removeAll(keepingCapacity: true)
        for (route, deliveries) in routed.values {
            route.run { for delivery in deliveries { delivery.make() } }
        }
        routed.removeAll(keepingCapacity: true)
    }
}
