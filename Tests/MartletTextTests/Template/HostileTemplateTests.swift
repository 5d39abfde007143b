import Foundation
import MartletCore
import Testing

@testable import MartletText

/// Templates that want all the time, memory or stack there is (10,000-deep nesting, huge ranges, texts,
/// recursion): each is refused with a typed error, quickly.
@Suite(.serialized) struct HostileTemplateTests {
    private static let deep = 10_000

    private static func nested(_ open: String, _ middle: String = "1", _ close: String) -> String {
        String(repeating: open, count: deep) + middle + String(repeating: close, count: deep)
    }

    private static let limited: [String] = [
        nested("{% if 1 %}", "x", "{% endif %}"),
        nested("{% for a in [1] %}", "x", "{% endfor %}"),
        nested("{% if 1 %}", "x", ""),
        "{{ \(nested("(", "1", ")")) }}",
        "{{ \(nested("[", "1", "]")) }}",
        "{{ \(nested("{1:", "1", "}")) }}",
        "{{ \(nested("f(", "1", ")")) }}",
        "{{ \(nested("-", "1", "")) }}",
        "{{ \(nested("not ", "1", "")) }}",
        "{{ \(nested("1 if 1 else ", "1", "")) }}",
        "{{ a\(nested(".b", "", "")) }}",
        "{{ a\(nested("[0]", "", "")) }}",
        "{{ a\(nested("|list", "", "")) }}",
        "{{ a\(nested(" if 1", "", "")) }}",
        "{% set \(nested("(", "a", ")")) = 1 %}",
        "{{ range(10**9) }}",
        "{{ range(0, 10**18, 1) | length }}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**9 * 'x' }}",
        "{{ [1] * 10**9 }}",
        "{{ 9223372036854775807 * 'xx' }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ 2 ** 100000 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{{ m(n ~ 'x') }}{% endmacro %}{{ m('') }}",
        "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
        "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for a in range(100) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for a in range(100) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s='xx') %}{% for a in range(99) %}{% set n.s = n.s.replace('x', n.s) %}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s.join([n.s, n.s]) %}{% endfor %}",
        "{% set n = namespace(l=[1]) %}{% for a in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}",
        "{% set n = namespace(l=[1]) %}{% for a in range(9999) %}{% set n.l = [n.l] %}{% endfor %}",
        "{% set n = namespace(l=1) %}{% for a in range(9999) %}{% set n.l = {'a': n.l} %}{% endfor %}",
        "{% set n = namespace(l=1) %}{% for a in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}",
        "{% set n = namespace(l=1) %}{% for a in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l | tojson }}",
        "{% set n = namespace(l=1) %}{% for a in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l == n.l }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
        "{% for a in range(99999) %}{% set s = 'ab' * 200000 %}{% endfor %}",
        "{% for a in range(99999) %}{{ ('ab' * 200000) is upper }}{% endfor %}",
        "{% for a in range(99999) %}{{ ('ab' * 200000).find('x') }}{% endfor %}",
        "{% for a in range(99999) %}{{ range(100000) | sort | first }}{% endfor %}",
        "{{ 'x'.ljust(10**18) }}",
        "{{ '%9999s' % 'x' * 1000 }}",
        "{{ ('\\n' * 400000) | indent(1000, blank=true) }}",
        "{% set n = namespace(l='x') %}{% for a in range(99) %}{% set n.l = n.l | tojson %}{% endfor %}",
    ]

    /// A debug build is some twenty times slower: it gets a tenth of the steps.
    private static var limits: TemplateLimits {
        var limits = TemplateLimits()
        #if DEBUG
            limits.steps /= 10
        #endif
        return limits
    }

    @Test(arguments: limited.indices)
    func isRefusedQuickly(index: Int) {
        let source = Self.limited[index]
        let clock = ContinuousClock()
        let start = clock.now
        let error = #expect(throws: TemplateError.self) {
            try ChatTemplate(source: source, file: "hostile").render(JSONObject(), limits: Self.limits)
        }
        #expect(error?.kind == .limit, "\(source.prefix(80)): \(String(describing: error))")
        let took = clock.now - start
        #if DEBUG
            #expect(took < .seconds(60), "\(source.prefix(80)) took \(took)")
        #else
            #expect(took < .milliseconds(250), "\(source.prefix(80)) took \(took)")
        #endif
    }

    @Test func namespacesCannotFormCyclesThatPrint() throws {
        let source = "{% set n = namespace() %}{% set n.n = n %}{{ n }}{{ n.n.n is defined }}"
        #expect(try ChatTemplate(source: source, file: "a").render(JSONObject()) == "<namespace>True")
    }

    @Test func nestingUpToTheLimitIsFine() throws {
        let depth = 25
        let source =
            String(repeating: "{% if 1 %}", count: depth) + "{{ " + String(repeating: "(", count: depth) + "1"
            + String(repeating: ")", count: depth) + " }}" + String(repeating: "{% endif %}", count: depth)
        #expect(try ChatTemplate(source: source, file: "a").render(JSONObject()) == "1")
    }

    /// The deepest that the limits allow fits a small thread, even in a debug build.
    @Test func theLimitsFitASmallStack() {
        let sources = [
            "{{ \(Self.nested("(", "1", ")")) }}",
            String(repeating: "{% if 1 %}", count: 110) + "x" + String(repeating: "{% endif %}", count: 110),
            "{% macro m(a) %}{% for b in [1] %}{{ [m(a)] | join }}{% endfor %}{% endmacro %}{{ m(1) }}",
            "{% set n = namespace(l=1) %}{% for a in range(250) %}{% set n.l = [n.l] %}{% endfor %}"
                + "{{ n.l | tojson }}{{ n.l }}{{ n.l == n.l }}",
        ]
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            for source in sources { _ = try? ChatTemplate(source: source, file: "deep").render(JSONObject()) }
            done.signal()
        }
        thread.stackSize = 1 << 20
        thread.start()
        done.wait()
    }

    /// Cuts and splices of a real template: an error or a text, never a trap.
    @Test func mutationsNeverTrap() {
        var random = SeededGenerator(state: 7)
        let source = Array(BuiltInTemplate.glm4v.utf8)
        let pieces = ["{%", "%}", "{{", "}}", "-", "(", ")", "[", "]", "'", "|", ".", "is", "for", "in", "9", "*", "\n"]
        let messages = try? JSONParser.parse(#"[{"role": "user", "content": [{"type": "text", "text": "q"}]}]"#)
        let variables = JSONObject([("messages", messages ?? .null)])
        for _ in 0..<1000 {
            var mutant = source
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<mutant.count, using: &random)
                let end = min(mutant.count, position + Int.random(in: 0...12, using: &random))
                let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                mutant.replaceSubrange(position..<end, with: Array(piece.utf8))
            }
            let text = String(decoding: mutant, as: UTF8.self)
            _ = try? ChatTemplate(source: text, file: "mutant").render(variables)
        }
    }
}
