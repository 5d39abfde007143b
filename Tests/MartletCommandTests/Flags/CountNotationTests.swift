import Testing

@testable import MartletCommand

@Suite struct CountNotationTests {
    @Test(arguments: [
        ("1024", 1024), ("-1", -1), ("auto", -1), ("1k", 1000), ("1K", 1024), ("25.6k", 25600), ("25.6K", 26214),
        ("2m", 2_000_000), ("2M", 2 << 20), ("1g", 1_000_000_000), ("1G", 1 << 30), ("1T", 1 << 40), ("0", 0),
    ])
    func reads(text: String, value: Int) { #expect(CountNotation.read(text) == value) }

    @Test(arguments: [
        "", "k", "1x", "1kk", "--", "0x10", "1e3", "9223372036854775808", "99999999999T", "1.2.3k", "١k", "nank",
    ])
    func refuses(text: String) { #expect(CountNotation.read(text) == nil) }
}
