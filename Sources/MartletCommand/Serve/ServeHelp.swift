/// `martlet serve --help`, made of the flag table.
enum ServeHelp {
    static var text: String {
        var text = """
            OVERVIEW: Serve a model behind the OpenAI API.

            USAGE: martlet serve MODEL [options]

              MODEL is a directory with config.json and safetensors, a .gguf file, or a hub name
              (zai-org/AutoGLM-Phone-9B) that the local Hugging Face or ModelScope cache has.

            EXAMPLES:
              martlet serve ./AutoGLM-Phone-9B --served-model-name autoglm-phone-9b --max-model-len 25480
              martlet serve model-Q4_K_M.gguf --port 8001 --api-key secret
              martlet serve --config server.yaml

            Option names may be written with - or _. Numbers may end in k, m, g (powers of 1000) or K, M, G
            (powers of 1024). Options marked with * are taken and have no effect on the CPU.

            """
        for section in FlagCatalogue.sections {
            text += "\n\(section.title.uppercased()):\n"
            for flag in section.flags { text += entry(flag) ?? "" }
        }
        return text + "\nAnything vLLM knows and Martlet does not do is refused by name. All of them: docs/flags.md\n"
    }

    private static func entry(_ flag: ServeFlag) -> String? {
        var mark = ""
        switch flag.status {
        case .refused: return nil
        case .inert: mark = "*"
        case .honoured: break
        }
        let names = flag.names.map { $0.count > 3 || $0 == flag.name ? "--\($0)" : "-\($0)" }.joined(separator: ", ")
        let left = "  \(names)\(flag.kind.placeholder)"
        let standard = flag.standard.isEmpty ? "" : " [\(flag.standard)]"
        let column = 40
        let gap =
            left.count < column
            ? String(repeating: " ", count: column - left.count) : "\n" + String(repeating: " ", count: column)
        return "\(left)\(gap)\(mark)\(flag.meaning)\(standard)\n"
    }
}
