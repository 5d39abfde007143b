import MartletEngine
import Testing

@testable import MartletCommand

@Suite struct SpeculationOptionsTests {
    private func read(_ json: String) throws -> SpeculationConfiguration? {
        try FlagReader(["m", "--speculative-config", json]).settings(environment: [:]).engine.speculation
    }

    @Test func isOffUnlessAsked() throws {
        #expect(try FlagReader(["m"]).settings(environment: [:]).engine.speculation == nil)
    }

    @Test func readsVLLMsKeys() throws {
        #expect(
            try read(
                """
                {"method":"ngram","num_speculative_tokens":5,"prompt_lookup_min":3,"prompt_lookup_max":6,
                 "disable_by_batch_size":8}
                """)
                == SpeculationConfiguration(tokenCount: 5, shortestMatch: 3, longestMatch: 6, largestBatch: 8))
        #expect(
            try read(#"{"method":"ngram","num_speculative_tokens":4}"#)
                == SpeculationConfiguration(tokenCount: 4, shortestMatch: 2, longestMatch: 4))
        for key in ["prompt_lookup_min", "prompt_lookup_max"] {
            #expect(
                try read(#"{"method":"ngram","num_speculative_tokens":1,"\#(key)":3}"#)
                    == SpeculationConfiguration(tokenCount: 1, shortestMatch: 3, longestMatch: 3))
        }
        let dotted = ["m", "--speculative-config.method", "ngram", "--speculative-config.num_speculative_tokens", "2"]
        #expect(try FlagReader(dotted).settings(environment: [:]).engine.speculation?.tokenCount == 2)
    }

    @Test(
        arguments: [
            (#"{"num_speculative_tokens":4}"#, "'method' is missing"),
            (#"{"method":"ngram"}"#, "'num_speculative_tokens' is missing"),
            (#"{"method":"eagle","num_speculative_tokens":4}"#, "not built yet: 'method'"),
            (#"{"method":7,"num_speculative_tokens":4}"#, "'method'"),
            (#"{"method":"ngram","num_speculative_tokens":0}"#, "'num_speculative_tokens' must be"),
            (#"{"method":"ngram","num_speculative_tokens":17}"#, "from 1 to 16"),
            (#"{"method":"ngram","num_speculative_tokens":2.5}"#, "'num_speculative_tokens' must be"),
            (#"{"method":"ngram","num_speculative_tokens":"4"}"#, "'num_speculative_tokens' must be"),
            (#"{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_min":0}"#, "'prompt_lookup_min' must be"),
            (#"{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_max":17}"#, "'prompt_lookup_max' must be"),
            (
                #"{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_min":5,"prompt_lookup_max":3}"#,
                "is above"
            ),
            (#"{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_min":5}"#, nil),
            (#"{"method":"ngram","num_speculative_tokens":4,"disable_by_batch_size":0}"#, "'disable_by_batch_size'"),
            (#"{"method":"ngram","num_speculative_tokens":4,"model":"tiny"}"#, "'model' is not known"),
            ("[1]", "neither a JSON object"),
        ] as [(String, String?)])
    func refusesByName(json: String, reason: String?) throws {
        do {
            let taken = try read(json)
            #expect(reason == nil, "\(json) was taken as \(taken as Any)")
        } catch let error as UsageError {
            #expect(error.description.hasPrefix("--speculative-config: "), "\(error)")
            #expect(reason.map { error.description.contains($0) } ?? false, "\(error)")
        }
    }
}
