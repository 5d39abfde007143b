import ArgumentParser

/// `martlet flags`: the flag table as Markdown, which is `docs/flags.md`.
struct FlagsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flags", abstract: "Print every flag of `martlet serve` as Markdown.", shouldDisplay: false)

    func run() { print(FlagTable.markdown, terminator: "") }
}

/// The pages made of the flag table.
enum FlagTable {
    static var markdown: String {
        var text = """
            # Flags of `martlet serve`

            Made by `make docs` from the table the server itself reads (`FlagCatalogue`); do not edit. Names may be
            written with `-` or `_`; switches take `--no-` in front. Numbers may end in k, m, g, t (powers of 1000) or
            K, M, G, T (powers of 1024). `--config FILE.yaml` holds the same names. Unknown flags end the start with
            exit code 2; `--vllm-compat warn` skips them with a warning.

            **yes**: does what it says. **no effect**: taken, logged, changes nothing, for the reason given.
            **refused**: exit code 2 and `not built yet`, with the reason given.

            """
        for section in FlagCatalogue.sections {
            text += "\n## \(section.title)\n\n| Flag | Meaning | Default | Status |\n|---|---|---|---|\n"
            for flag in section.flags { text += row(flag) }
        }
        return text + "\n" + variables
    }

    /// What `ServeSettings.adopt`, the model caches and the log read.
    private static let variables = """
        ## Environment variables

        Flags win over variables.

        | Variable | Meaning |
        |---|---|
        | `VLLM_API_KEY` | a key that opens /v1 |
        | `VLLM_CPU_KVCACHE_SPACE` | size of the KV cache in GiB |
        | `VLLM_CPU_OMP_THREADS_BIND` | CPUs such as `0-3,8`: as many threads compute; none is bound |
        | `VLLM_CPU_NUM_OF_RESERVED_CPU` | CPUs to leave alone |
        | `VLLM_LOGGING_LEVEL`, `VLLM_LOGGING_PREFIX` | DEBUG, INFO, WARNING, ERROR; text before every line |
        | `VLLM_LOG_STATS_INTERVAL` | seconds between throughput lines; 0 = none |
        | `VLLM_MAX_IMAGE_PIXELS` | pixels of one picture as it comes |
        | `VLLM_MEDIA_LOADING_THREAD_COUNT` | pictures decoded at once |
        | `VLLM_IMAGE_FETCH_TIMEOUT` | seconds for one picture to be fetched (5) |
        | `VLLM_MEDIA_URL_ALLOW_REDIRECTS` | 0: redirects are refused; else up to 3 are followed, each checked anew |
        | `VLLM_HTTP_MAX_REQUEST_BODY_SIZE` | bytes of a request |
        | `VLLM_HTTP_TIMEOUT_KEEP_ALIVE` | seconds a connection may idle |
        | `HF_HOME`, `HF_HUB_CACHE`, `MODELSCOPE_CACHE`, `XDG_CACHE_HOME` | where downloaded models are |
        | `MARTLET_FORCE_ISA` | as `--isa` |
        | `MARTLET_MPI_LIBRARY` | Open MPI's libmpi, where the system does not find it |
        | `OMPI_COMM_WORLD_SIZE`, `OMPI_COMM_WORLD_RANK`, `PMIX_RANK`, `PMI_RANK`, `PMI_SIZE`, `SLURM_STEP_NUM_TASKS`, \
        `SLURM_NTASKS` | what mpirun or srun has started |
        | `CUDA_VISIBLE_DEVICES` | GPUs that may be used; the log says why one can't |
        | `MARTLET_CUDA_PATH` | Folders, with `:` between them, where NVIDIA's libraries lie if not where the system \
        looks: of an installation, or a site-packages with `nvidia-cuda-nvrtc-cu12` and `nvidia-cublas-cu12` |
        | `NO_COLOR` | no colours on a terminal |

        """

    private static func row(_ flag: ServeFlag) -> String {
        let names = flag.names.map { name in
            name == flag.name ? "`--\(name)\(escaped(flag.kind.placeholder))`" : "`-\(name)`"
        }
        let cells = [names.joined(separator: ", "), flag.meaning, flag.standard, status(flag)]
        return "| " + cells.map(Self.escaped).joined(separator: " | ") + " |\n"
    }

    private static func status(_ flag: ServeFlag) -> String {
        switch flag.status {
        case .honoured: return "**yes**"
        case .inert(let reason): return "no effect: " + reason
        case .refused(let reason, let harmless):
            let taken = harmless.isEmpty || flag.kind == .toggle ? "" : " (taken: \(harmless.joined(separator: ", ")))"
            return "refused: " + reason + taken
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\|", with: "|").replacing("|", with: "\\|")
    }
}
