#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A thread of the system's that runs `body` once and ends; nil if there is none to be had. `top` and `perf` show
/// `name`, where the system has a file for that. Whoever starts the thread joins or detaches it.
package func startThread(name: String, _ body: @escaping () -> Void) -> pthread_t? {
    let argument = Unmanaged.passRetained(
        ThreadBody {
            if let file = fopen("/proc/thread-self/comm", "w") {
                fputs(name, file)
                fclose(file)
            }
            body()
        })
    #if canImport(Darwin)
    var thread: pthread_t?
    let status = pthread_create(&thread, nil, threadMain, argument.toOpaque())
    #else
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, threadMain, argument.toOpaque())
    #endif
    guard status == 0 else {
        argument.release()
        return nil
    }
    return thread
}

private final class ThreadBody {
    let run: () -> Void

    init(_ run: @escaping () -> Void) { self.run = run }
}

#if canImport(Darwin)
private func threadMain(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
#else
private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
#endif
