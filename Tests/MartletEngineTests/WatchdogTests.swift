import MartletEngine
import Testing

@Suite struct WatchdogTests {
    @Test func aSilenceIsWarnedOfOnceAndGivenUpAtItsEnd() {
        var watchdog = Watchdog()
        #expect(watchdog.look(at: .alive) == nil)
        #expect(
            watchdog.look(at: .silent(seconds: 10.5))
                == .warn("The engine has work and has made no progress for 10 seconds."))
        #expect(watchdog.look(at: .silent(seconds: 20)) == nil)
        #expect(watchdog.look(at: .stalled(seconds: 60)) == nil)
        #expect(
            watchdog.look(at: .lost(seconds: 90))
                == .giveUp("The engine has made no progress for 90 seconds and is given up."))
    }

    @Test func progressEndsTheSilence() {
        var watchdog = Watchdog()
        for _ in 0..<2 {
            #expect(watchdog.look(at: .stalled(seconds: 70)) != nil)
            #expect(watchdog.look(at: .alive) == .relief("The engine makes progress again."))
            #expect(watchdog.look(at: .alive) == nil)
        }
    }

    @Test func aDeadEngineIsNotItsBusiness() {
        var watchdog = Watchdog()
        #expect(watchdog.look(at: .dead(reason: "x")) == nil)
    }

    @Test func limitsScaleTogether() {
        let usual = SilenceLimits()
        #expect(SilenceLimits(exitSeconds: 90) == usual)
        #expect([usual.warningSeconds, usual.stallSeconds, usual.exitSeconds] == [10, 60, 90])
        #expect(SilenceLimits(exitSeconds: 9).stallSeconds == 6)
    }
}
