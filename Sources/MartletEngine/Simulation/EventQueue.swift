/// Things that happen at given times: the earliest first, and of equals the one that was put first. A binary heap.
struct EventQueue<Event> {
    private struct Entry {
        let time: Double
        let number: UInt64
        let event: Event

        func precedes(_ other: Entry) -> Bool { time == other.time ? number < other.number : time < other.time }
    }

    private var entries: [Entry] = []
    private var nextNumber: UInt64 = 0

    mutating func put(_ event: Event, at time: Double) {
        entries.append(Entry(time: time, number: nextNumber, event: event))
        nextNumber += 1
        var place = entries.count - 1
        while place > 0, entries[place].precedes(entries[(place - 1) / 2]) {
            entries.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func next() -> (time: Double, event: Event)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        guard !entries.isEmpty else { return (first.time, first.event) }
        entries[0] = last
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < entries.count {
                if entries[child].precedes(entries[least]) { least = child }
            }
            guard least != place else { return (first.time, first.event) }
            entries.swapAt(place, least)
            place = least
        }
    }
}
