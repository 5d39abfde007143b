# Martlet's commands. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup build test unit e2e ranks ranks-check deploy-check deploy count neon nvrtc verify-main verify-parallel verify-cuda \
	verify-demo bench-peers bench-growth bench-speculation bench-agent docs

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## the Debian packages that building and testing need
	@Tools/setup.sh

build: setup ## release build of the server
	swift build -c release --product martlet

test: unit count neon nvrtc e2e ranks-check deploy-check ## everything that a change must pass

unit: setup ## the Swift tests, SmolLM2's among them (fetches its 98 MB once)
	swift build --build-tests
	@MARTLET_SMOLLM2="$$(Tools/smollm2.sh)" Tools/verify/swift_tests.sh

e2e: setup ## real clients against the real server
	swift build --product martlet
	@MARTLET_SMOLLM2="$$(Tools/smollm2.sh)" Tests/EndToEnd/run.sh

ranks: setup ## ranks that are processes, under mpirun: tokens, faults, two hosts (RUNS=20: each fault so often; as root)
	swift build --product martlet
	@MARTLET_SMOLLM2="$$(Tools/smollm2.sh)" MARTLET_FAULT_RUNS="$(or $(RUNS),2)" Tests/Ranks/run.sh $(RANKS)

ranks-check: setup ## of these, what needs no faults: the same tokens, and words where a start fails (a minute)
	swift build --product martlet
	@MARTLET_SMOLLM2="$$(Tools/smollm2.sh)" Tests/Ranks/run.sh -k "test_tokens or test_start"

deploy-check: setup ## the files of Deploy/: each through its own checker, schemas, and that metrics and flags exist
	swift build --product martlet
	@Tests/Deploy/run.sh -m files

deploy: setup ## replicas behind HAProxy that die and restart under load, Prometheus beside them (a few minutes)
	swift build --product martlet
	@Tests/Deploy/run.sh

count: setup ## that no kernel takes more instructions than recorded; RECORD=1 records anew (ten seconds)
	@Tools/count/count.py $(if $(RECORD),--record)

neon: setup ## every kernel of aarch64, run by qemu, beside its scalar twin (a minute)
	@Tools/twins/neon.sh

nvrtc: ## that every CUDA kernel compiles for every GPU and takes what is recorded; RECORD=1 records anew (a minute)
	@python="$$(Tools/cuda/nvrtc.sh)" && "$$python" Tools/cuda/nvrtc.py $(if $(RECORD),--record)

verify-main: setup ## all that must be shown of the main job, with figures (half an hour; 21.5 GiB of memory)
	swift build --build-tests
	swift build -c release --product martlet
	@Tools/verify/main.sh

verify-parallel: setup ## all that must be shown of parallel inference, with figures (installs Open MPI, HAProxy, Prometheus)
	swift build --build-tests
	swift build -c release --product martlet
	@Tools/verify/parallel.sh

verify-cuda: setup ## all that must be shown of the CUDA backend: emulated, compiled for every GPU, and run where there is one
	swift build --build-tests
	@Tools/verify/cuda.sh

verify-demo: build ## that the demo model sees: 500 held-out screens and more, asked over HTTP, with figures
	@MARTLET_BINARY="$$(swift build -c release --show-bin-path)/martlet" Tools/verify/demo.sh

bench-peers: build ## Martlet beside llama.cpp on the same weights, in turns, by PARTS (makes what it needs once)
	@llama="$$(Tools/bench/llama_cpp.sh)" && "$$(Tests/EndToEnd/clients.sh)" Tools/bench/peers.py \
		"$$(swift build -c release --show-bin-path)/martlet" "$$llama" "$$(Tools/smollm2.sh)" \
		--parts "$(or $(PARTS),all)" $(PEERS)

bench-growth: ## what longer contexts and prompts and more sequences cost, with plots (a quarter of an hour)
	@$(MAKE) bench-peers PARTS="limits growth"

bench-speculation: build ## decoding with and without n-gram speculation, agent traces among it, the same replies demanded
	@"$$(Tests/EndToEnd/clients.sh)" Tools/bench/speculation.py "$$(swift build -c release --show-bin-path)/martlet" \
		"$$(Tools/smollm2.sh)" $(SPECULATION)

bench-agent: build ## an agent's steps with and without the prefill of its next turn, the same replies demanded
	@"$$(Tests/EndToEnd/clients.sh)" Tools/bench/agent.py "$$(swift build -c release --show-bin-path)/martlet" $(AGENT)

docs: ## docs/flags.md, from the table the server reads
	swift build --product martlet
	@"$$(swift build --show-bin-path)/martlet" flags > docs/flags.md
