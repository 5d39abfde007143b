import Foundation
import Logging
import MartletEngine
import MartletParallel

/// Looks after an engine from a thread of its own, which no stuck step and no busy pool of tasks can hold up. An engine
/// that is silent for too long is given up: its streams end with an error, and the process with 70, for whoever
/// supervises it to start it again.
enum WatchdogThread {
    private static let looksPerWarning = 10.0

    /// Runs until the process ends. `giveUp` is told why, and may take no longer than a moment.
    static func start(
        limits: SilenceLimits, logger: Logger, health: @escaping @Sendable () -> EngineHealth,
        giveUp: @escaping @Sendable (String) -> Void
    ) {
        let thread = startThread(name: "martlet-watch") {
            var watchdog = Watchdog()
            while true {
                Thread.sleep(forTimeInterval: limits.warningSeconds / looksPerWarning)
                switch watchdog.look(at: health()) {
                case nil: continue
                case .warn(let text): logger.warning("\(text)")
                case .relief(let text): logger.info("\(text)")
                case .giveUp(let reason):
                    logger.critical("\(reason) The server ends with it.")
                    giveUp(reason)
                    // What streams have to say about it goes out first.
                    Thread.sleep(forTimeInterval: 1)
                    _exit(70)
                }
            }
        }
        if let thread { pthread_detach(thread) } else { logger.warning("The system has no thread for the watchdog.") }
    }
}
