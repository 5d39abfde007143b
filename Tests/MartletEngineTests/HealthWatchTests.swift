import MartletEngine
import Testing

@Suite struct HealthWatchTests {
    @Test func idleIsAlive() {
        let watch = HealthWatch(progress: StepProgress(), now: 0)
        #expect(watch.look(now: 1000) == .alive)
    }

    @Test func ticksKeepALongStepAlive() {
        let progress = StepProgress()
        let watch = HealthWatch(progress: progress, now: 0)
        watch.setBusy(true)
        for second in 0..<100 {
            progress.tick()
            #expect(watch.look(now: Double(second) * 9) == .alive)
        }
    }

    @Test func silenceIsAStall() {
        let progress = StepProgress()
        let watch = HealthWatch(progress: progress, now: 0)
        watch.setBusy(true)
        #expect(watch.look(now: 1) == .alive)
        #expect(watch.look(now: 10) == .alive)
        #expect(watch.look(now: 12) == .silent(seconds: 11))
        for now in [20.0, 30, 40, 50, 60] { #expect(watch.look(now: now) == .silent(seconds: now - 1)) }
        #expect(watch.look(now: 61) == .stalled(seconds: 60))
        for now in [75.0, 90] { #expect(watch.look(now: now) == .stalled(seconds: now - 1)) }
        #expect(watch.look(now: 91) == .lost(seconds: 90))
        progress.tick()
        #expect(watch.look(now: 92) == .alive)
    }

    @Test func idleTimeIsNotSilence() {
        let watch = HealthWatch(progress: StepProgress(), now: 0)
        watch.setBusy(true)
        watch.setBusy(false)
        _ = watch.look(now: 1)
        watch.setBusy(true)
        #expect(watch.look(now: 500) == .alive)
    }

    @Test func aPauseOfTheWholeProcessIsCutShort() {
        let watch = HealthWatch(progress: StepProgress(), limits: SilenceLimits(exitSeconds: 30), now: 0)
        watch.setBusy(true)
        _ = watch.look(now: 1)
        #expect(watch.look(now: 71) == .silent(seconds: 5))
        #expect(watch.look(now: 76) == .silent(seconds: 10))
    }

    @Test func deathIsFinal() {
        let watch = HealthWatch(progress: StepProgress(), now: 0)
        watch.die(reason: "first")
        watch.die(reason: "second")
        #expect(watch.look(now: 1) == .dead(reason: "first"))
    }
}
