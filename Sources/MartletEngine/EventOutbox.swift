/// Events that are said but not yet on their way.
struct EventOutbox {
    private struct Delivery {
        let event: GenerationEvent
        let sink: EventSink
    }

    private var direct: [Delivery] = []
    private var routed: [ObjectIdentifier: (route: any EventRoute, deliveries: [Delivery])] = [:]

    mutating func put(_ event: GenerationEvent, for sink: EventSink) {
        let delivery = Delivery(event: event, sink: sink)
        if let route = sink.route {
            routed[route.thread, default: (route, [])].deliveries.append(delivery)
        } else {
            direct.append(delivery)
        }
    }

    /// Sends all, those of one request in the order they were put.
    mutating func post() {
        for delivery in direct { delivery.sink.send(delivery.event) }
        direct = []
        for (route, deliveries) in routed.values {
            route.run { for delivery in deliveries { delivery.sink.send(delivery.event) } }
        }
        routed = [:]
    }
}
