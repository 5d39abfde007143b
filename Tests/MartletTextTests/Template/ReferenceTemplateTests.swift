import Foundation
import MartletCore
import Testing

@testable import MartletText

/// Every case of Fixtures/templates.json, rendered as the reference's Jinja renders it, byte for byte.
@Suite struct ReferenceTemplateTests {
    @Test func rendersAsTheReference() throws {
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let document = try JSONParser.parse(
            [UInt8](Data(contentsOf: fixtures.appending(path: "Fixtures/templates.json"))))
        let sets = try #require(document["variables"]?.array)
        let cases = try #require(document["cases"]?.array)
        #expect(cases.count >= 500)
        for one in cases {
            let source = try #require(one["template"]?.string)
            let index = try #require(one["variables"]?.integer)
            let variables = try #require(sets[index].object)
            let rendered = Result { () throws(TemplateError) in
                try ChatTemplate(source: source, file: "case").render(variables)
            }
            switch (rendered, one["text"]?.string) {
            case (.success(let text), let expected?):
                #expect(
                    text.utf8.elementsEqual(expected.utf8),
                    "\(source)\n got \(text.debugDescription)\nwant \(expected.debugDescription)")
            case (.failure(let error), let expected?):
                Issue.record("\(source)\n got \(error)\nwant \(expected.debugDescription)")
            case (.success(let text), nil):
                Issue.record("\(source)\n got \(text.debugDescription)\nwant a refusal")
            case (.failure, nil): break
            }
        }
    }
}
