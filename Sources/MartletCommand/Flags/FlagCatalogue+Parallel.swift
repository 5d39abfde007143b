import MartletEngine
import MartletModels

extension FlagCatalogue {
    private static let parallelReason =
        "processes and hosts are mpirun's or srun's to name (--distributed-executor-backend mpi), and a server has all "
        + "of its engines behind it (--data-parallel-size). Leave the flag out or give what is the case."

    static let parallelFlags: [ServeFlag] = [
        .honours(
            "tensor-parallel-size", "tp", kind: .count(1...1024),
            means: "Ranks that share every layer, each with its share of the threads and its part of the weights",
            standard: "1"
        ) { $0.model.parallel.tensor = $1.count },
        .honours(
            "pipeline-parallel-size", "pp", kind: .count(1...1024),
            means: "Stages that share the stack of layers, each of as many ranks as share a layer; as many batches are "
                + "under way",
            standard: "1"
        ) { $0.model.parallel.pipeline = $1.count },
        .honours(
            "pipeline-layer-partition", means: "Layers of each stage, such as 18,22",
            standard: "balanced by what a row costs"
        ) { (settings, value) throws(UsageError) in
            settings.model.parallel.layerPartition = try LayerCounts.read(value.text)
        },
        .honours(
            "data-parallel-size", "dp", kind: .count(1...64),
            means: "Engines behind one front, each with a queue, a KV cache and threads of its own, on one copy of the "
                + "weights, or under a launcher with processes of its own; a request goes where most of its prompt is "
                + "cached, within bounds of load",
            standard: "1"
        ) { $0.model.parallel.data = $1.count },
        .refuses(
            "data-parallel-rank", "dpn", kind: .count(0...1024), means: "Which copy this is", because: parallelReason,
            harmless: ["0"]),
        .refuses("data-parallel-address", "dpa", means: "Where copies meet", because: parallelReason),
        .refuses(
            "data-parallel-rpc-port", "dpp", kind: .count(0...65535), means: "Port where copies meet",
            because: parallelReason),
        .honours(
            "data-parallel-size-local", "dpl", kind: .count(1...64),
            means: "Engines on this host: all of them, so equal to --data-parallel-size", standard: "all"
        ) { $0.localEngineCount = $1.count },
        .refuses(
            "data-parallel-start-rank", "dpr", kind: .count(0...1024), means: "First copy on this host",
            because: parallelReason, harmless: ["0"]),
        .refuses(
            "nnodes", "n", kind: .count(1...1024), means: "Hosts", standard: "1", because: parallelReason,
            harmless: ["1"]),
        .refuses(
            "node-rank", "r", kind: .count(0...1024), means: "Which host this is", standard: "0",
            because: parallelReason, harmless: ["0"]),
        .refuses(
            "master-addr", means: "Where hosts meet", standard: "127.0.0.1", because: parallelReason,
            harmless: ["127.0.0.1"]),
        .refuses(
            "master-port", kind: .count(0...65535), means: "Port where hosts meet", standard: "29501",
            because: parallelReason, harmless: ["29501"]),
        .honours(
            "distributed-executor-backend", kind: .choice(["mp", "uni", "mpi"]),
            means: "What ranks are: threads of this process (`mp`, `uni`), or the processes that a launcher started "
                + "(`mpi`: Open MPI's `mpirun`, Slurm's `srun`); then `--threads` counts those of a host",
            standard: "`mpi` under a launcher, else threads"
        ) { $0.executor = $1.text == "mpi" ? .mpi : .threads },
        .honours(
            "rank-link-host", kind: .text,
            means: "Address of rank 0's host where it listens for ranks of other hosts, and where they find it",
            standard: "127.0.0.1: ranks of this host only"
        ) { $0.rankLinkHost = $1.text },
    ]

    static let engineFlags: [ServeFlag] = [
        .ignores(
            "compilation-config", "cc", kind: .text, means: "What to compile and capture",
            because: "kernels are compiled once for each kind of GPU, and steps captured as they come."),
        .ignores(
            "cudagraph-capture-sizes", kind: .words, means: "Batch sizes to capture",
            because: "steps are captured for 1, 2, 4, 8 and then every 8 sequences, as they come."),
        .honours(
            "speculative-config", kind: .object,
            means: "Guess from the text so far, several tokens a step; the same tokens, sooner: "
                + "{\"method\": \"ngram\", \"num_speculative_tokens\": 4}",
            standard: "off"
        ) { (settings, value) throws(UsageError) in
            settings.engine.speculation = try SpeculationConfiguration(value.object)
        },
        .refuses("enable-lora", kind: .toggle, means: "LoRA adapters", because: lora),
        .refuses("lora-modules", kind: .words, means: "Adapters to load", because: lora),
        .refuses("max-loras", kind: .count(1...1024), means: "Adapters in a batch", standard: "1", because: lora),
        .refuses("max-lora-rank", kind: .count(1...1024), means: "Largest rank", standard: "16", because: lora),
    ]

    private static let lora = "adapters are not read. Merge the adapter into the weights."
}
