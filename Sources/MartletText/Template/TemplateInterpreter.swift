import MartletCore

final class TemplateInterpreter {
    init(file: String, limits: TemplateLimits, now: Int) {}

    func render(_ body: [TemplateStatement], variables: JSONObject) throws(TemplateError) -> String {
        throw TemplateError(.unsupported, "not yet")
    }
}
