import Testing

/// The law's own eyes: what is code, and where functions end.
@Suite struct LawTests {
    @Test(arguments: [
        ("let a = \"try! {\" // as!", "let a =                "),
        ("a /* { */ b", "a         b"),
        ("f(\"x\\(g(\"}\"))y\") }", "f(             ) }"),
        ("#\"\\(no)\"# + \"\\\"{\"", "          +      "),
        ("'{' 'a", "    'a"),
    ])
    func blanksWhatIsNoCode(_ text: String, _ code: String) {
        #expect(String(decoding: CodeText(text).bytes, as: UTF8.self) == code)
    }

    @Test func blanksStringsOfSeveralLines() {
        let text = "a = \"\"\"\n  { \"quoted\" \\(f(1)) \n  \"\"\"\n}"
        #expect(CodeText(text).lines.map { $0.filter { $0 != " " } } == ["a=", "", "", "}"])
    }

    @Test func measuresSwiftFunctions() {
        let text = """
            protocol P {
                func need(_ a: Int) -> Int
                func other()
            }
            struct S {
                init(a: () -> Void = { }) {
                    a()
                }
                func two(
                    b: Int
                ) -> Int {
                    { b }()
                }
                var funcs: Int { 3 }
                subscript(i: Int) -> Int { i }
            }
            """
        let functions = FunctionLengths(swift: CodeText(text).bytes).functions
        #expect(functions.map(\.name) == ["init", "two", "subscript"])
        #expect(functions.map(\.length) == [3, 5, 1])
        #expect(functions.map(\.line) == [6, 9, 15])
    }

    @Test func measuresCFunctions() {
        let text = "struct s {\n  int a;\n};\nint f(void) {\n  if (1) {\n  }\n}\nint t[] = { 1 };\n"
        #expect(FunctionLengths(c: CodeText(text).bytes).functions == [.init(name: "line 4", line: 4, length: 4)])
    }
}
