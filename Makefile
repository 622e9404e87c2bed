# The door: every target is plain tools, and CI (.ci/run) calls the same ones.
# A list of them: make

# Where the lock file is wrong, CI says so instead of mending it.
LOCKED := $(if $(CI),--locked)
# What `make run` runs with.
ARGS ?= --config lubdub.example.toml
# How long each target of `make fuzz-smoke` runs, in seconds.
FUZZ_SECONDS ?= 20
# The rooms of tests that are played over Unix sockets as well.
OVER_UNIX := $(addprefix --test ,transparency conformance abuse heartbeat ends plain handshake)
FUZZ_TARGETS := header scanner_splits heartbeat_ops proxy_v1 proxy_v2 forwarded

.DEFAULT_GOAL := help
.PHONY: help demo run build test check fmt fmt-check lint doc deny advisories docs-check bless fuzz-smoke \
	simulate leaks handover conformance-control interop abuse faults soak bench cost cost-watchers deploy-check clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## See lubdub catch two connections that freeze, in 20 seconds
	cargo run $(LOCKED) --package lubdub -- demo --for 20s

run: ## Run the proxy: make run ARGS="--listen 127.0.0.1:8080 --upstream ws://127.0.0.1:9000"
	cargo run $(LOCKED) --package lubdub -- $(ARGS)

build: ## Build every program of the workspace
	cargo build $(LOCKED) --workspace --bins

test: build ## Run every test
	cargo test $(LOCKED) --workspace
	LUBDUB_TEST_WAY=unix cargo test $(LOCKED) --package lubdub-tests $(OVER_UNIX)

check: fmt-check lint doc deny ## All that a change has to pass besides the tests

fmt: ## Format the code
	cargo fmt --all

fmt-check: ## Is the code formatted?
	cargo fmt --all --check

lint: ## Clippy, with warnings as errors
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings

doc: ## Build the documentation of the code, private items included
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps --document-private-items

deny: advisories ## Bans, licences, sources and known holes of what is depended on (deny.toml)
	cargo deny check bans licenses sources

advisories: cargo-deny
	@if cargo deny fetch db; then cargo deny check advisories; else echo "ADVISORIES WERE NOT CHECKED: the RustSec database cannot be fetched from here" >&2; fi

docs-check: ## Are the generated pages and the example file what the code declares?
	cargo test $(LOCKED) --package lubdub-metrics --test reference && cargo test $(LOCKED) --package lubdub --bin lubdub declaration

bless: export LUBDUB_BLESS = 1
bless: docs-check ## Write the generated pages and the example file anew
	cargo test $(LOCKED) --package lubdub-tests --test conformance page

fuzz-smoke: cargo-fuzz $(FUZZ_TARGETS:%=fuzz-%) ## Every fuzz target for FUZZ_SECONDS (fuzz/README.md)

fuzz-%:
	mkdir -p fuzz/target/corpus/$* && cargo fuzz run -s none $* fuzz/target/corpus/$* fuzz/corpus/$* -- -max_total_time=$(FUZZ_SECONDS)

cargo-%:
	@command -v $@ >/dev/null || cargo install --locked $@

simulate: export LUBDUB_SIM_PAIR_HOURS ?= $(if $(CI),10000,1000000)
simulate: ## LUBDUB_SIM_PAIR_HOURS of random pairs in virtual time: does one lapse that is well, or none that died?
	cargo test $(LOCKED) --release --package lubdub-keepalive --test sim -- --nocapture marathon

leaks: export LUBDUB_LEAK_PAIRS ?= 100000
leaks: export LUBDUB_LEAK_ENDS ?= 100000
leaks: build ## LUBDUB_LEAK_PAIRS pairs through the real binary, LUBDUB_LEAK_ENDS inside, ended in every way: what is left?
	cargo test $(LOCKED) --package lubdub-tests --test leaks --test leaks_inside -- --nocapture

handover: export LUBDUB_HANDOVER_PAIRS ?= 5000
handover: export LUBDUB_HANDOVER_DEATHS ?= 100
handover: ## LUBDUB_HANDOVER_PAIRS pairs through upgrades, reloads and LUBDUB_HANDOVER_DEATHS deaths in the middle (docs/topics/changes.md)
	cargo build $(LOCKED) --release --package lubdub && cargo test $(LOCKED) --release --package lubdub-tests --test handover -- --nocapture --test-threads 1

conformance-control: build ## The conformance kit against nginx and HAProxy, for comparison (docs/topics/transparency.md)
	bash tests/conformance/control.sh

interop: build ## Real clients, backends and Autobahn through the real binary (tests/interop/README.md)
	cargo build $(LOCKED) --workspace --example rust_tungstenite && bash tests/interop/run.sh $(INTEROP_ARGS)

abuse: build ## Slow attackers against the real binary while clients go on (docs/topics/threat-model.md)
	bash tests/abuse/slowhttptest.sh $(ABUSE_ARGS)

faults: build ## Broken links and frozen processes, in network namespaces; needs root (docs/topics/faults.md)
	bash tests/faults/run.sh $(FAULTS_ARGS)

soak: export SOAK_SECONDS ?= 3600
soak: ## SOAK_SECONDS of two thousand pairs beside upstreams that hang and flap and a log that nobody reads (docs/topics/soak.md)
	cargo build $(LOCKED) --release --package lubdub && python3 -B tests/soak/soak.py

bench: ## lubdub beside nginx, HAProxy and Envoy, as far as they are installed (docs/reference/benchmarks.md)
	cargo build $(LOCKED) --release --package lubdub --package lubdub-bench && target/release/lubdub-bench compare $(BENCH_ARGS)

cost: ## Instructions per message, heartbeat and session, against those on record; control frames beside texts (docs/topics/cost.md)
	cargo build $(LOCKED) --release --package lubdub && bash tests/cost/run.sh $(COST_ARGS)

cost-watchers: ## What 5,000 pairs pay for 50 watchers: time of the processor, and how late pings are (docs/topics/cost.md)
	cargo build $(LOCKED) --release --package lubdub --package lubdub-bench && python3 -B tests/cost/watchers.py $(WATCHERS_ARGS)

deploy-check: build ## Are the files in deploy/ true to the program?
	bash tests/deploy/check.sh $(DEPLOY_ARGS)

clean: ## Remove what was built
	cargo clean && rm -rf fuzz/target
