import Testing

@testable import MartletCore

@Suite struct JSONTests {
    @Test func readsWhatItWrites() throws {
        let text = #"{"b":1,"a":[null,true,-2.5,"x\"\\\n\u0001é😀"],"c":{}}"#
        let value = try JSONParser.parse(text)
        var writer = JSONWriter()
        writer.value(value)
        #expect(writer.text == text)
    }

    @Test func decodesEscapes() throws {
        #expect(try JSONParser.parse(#""\u00e9\ud83d\ude00\/""#).string == "é😀/")
    }

    @Test func tellsIntegersFromNumbers() throws {
        #expect(try JSONParser.parse("9007199254740993") == .integer(9_007_199_254_740_993))
        #expect(try JSONParser.parse("1.0") == .number(1))
        #expect(try JSONParser.parse("1.0").integer == 1)
        #expect(try JSONParser.parse("18446744073709551616").integer == nil)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "01", "1.", ".5", "+1", "1e999", "NaN", "\"\\ud800\"",
        "\"\\x\"",
        "\"\u{1}\"", "[1] 2", "tru", "\u{FEFF}1", String(repeating: "[", count: 200), "'a'", "\"abc",
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
    }

    @Test func refusesBytesThatAreNotUTF8() {
        #expect(throws: JSONError.self) { try JSONParser.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONParser.parse([0xFF, 0xFE, 0x31, 0x00]) }
    }
}
