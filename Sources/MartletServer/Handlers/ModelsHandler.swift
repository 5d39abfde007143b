import Foundation
import Hummingbird
import MartletCore

/// `GET /v1/models` and `GET /v1/models/{model}`. `root` names the true model behind an alias.
struct ModelsHandler: Sendable {
    let environment: ServerEnvironment

    @Sendable func list(_ exchange: Exchange) async throws(APIError) -> Response {
        .json(.object(JSONObject([("object", .string("list")), ("data", .array(environment.model.names.map(card)))])))
    }

    /// Names may hold slashes; they come raw or percent-encoded.
    @Sendable func one(_ exchange: Exchange) async throws(APIError) -> Response {
        let raw = String(exchange.path.dropFirst("/v1/models/".count))
        let name = raw.removingPercentEncoding ?? raw
        guard environment.model.names.contains(name) else {
            throw .modelNotFound(name, served: environment.model.names)
        }
        return .json(card(name))
    }

    private func card(_ name: String) -> JSONValue {
        let model = environment.model
        let created = JSONValue.integer(Int64(model.created))
        let permission = JSONObject([
            ("id", .string("modelperm-\(name)")), ("object", .string("model_permission")), ("created", created),
            ("allow_create_engine", .bool(false)), ("allow_sampling", .bool(true)), ("allow_logprobs", .bool(true)),
            ("allow_search_indices", .bool(false)), ("allow_view", .bool(true)), ("allow_fine_tuning", .bool(false)),
            ("organization", .string("*")), ("group", .null), ("is_blocking", .bool(false)),
        ])
        return .object(
            JSONObject([
                ("id", .string(name)), ("object", .string("model")), ("created", created),
                ("owned_by", .string("martlet")), ("root", .string(model.root)), ("parent", .null),
                ("max_model_len", .integer(Int64(model.maxModelLength))),
                ("architecture", .string(model.architecture)), ("permission", .array([.object(permission)])),
            ]))
    }
}
