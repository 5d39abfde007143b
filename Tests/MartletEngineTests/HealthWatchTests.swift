import MartletEngine
import Testing

@Suite struct HealthWatchTests {
    @Test func idleIsAlive() {
        let watch = HealthWatch(progress: StepProgress(), now: 0)
        #expect(watch.look(now: 1000) == .alive)
    }

    @Test func ticksKeepALongStepAlive() {
        let progress = StepProgress()
        let watch = HealthWatch(progress: progress, stallSeconds: 10, now: 0)
        watch.setBusy(true)
        for second in 0..<100 {
            progress.tick()
            #expect(watch.look(now: Double(second) * 9) == .alive)
        }
    }

    @Test func silenceIsAStall() {
        let progress = StepProgress()
        let watch = HealthWatch(progress: progress, stallSeconds: 10, now: 0)
        watch.setBusy(true)
        #expect(watch.look(now: 1) == .alive)
        #expect(watch.look(now: 10) == .alive)
        #expect(watch.look(now: 12) == .stalled(seconds: 11))
        progress.tick()
        #expect(watch.look(now: 13) == .alive)
    }

    @Test func idleTimeIsNotSilence() {
        let watch = HealthWatch(progress: StepProgress(), stallSeconds: 10, now: 0)
        watch.setBusy(true)
        watch.setBusy(false)
        _ = watch.look(now: 1)
        watch.setBusy(true)
        #expect(watch.look(now: 500) == .alive)
    }

    @Test func aPauseOfTheWholeProcessIsCutShort() {
        let watch = HealthWatch(progress: StepProgress(), stallSeconds: 20, now: 0)
        watch.setBusy(true)
        _ = watch.look(now: 1)
        #expect(watch.look(now: 71) == .alive)
        #expect(watch.look(now: 80) == .stalled(seconds: 24))
    }

    @Test func deathIsFinal() {
        let watch = HealthWatch(progress: StepProgress(), now: 0)
        watch.die(reason: "first")
        watch.die(reason: "second")
        #expect(watch.look(now: 1) == .dead(reason: "first"))
    }
}
