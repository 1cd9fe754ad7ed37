# Everything a developer runs. `make` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SEEDS ?= 300
KILLS ?= 40
FUZZTIME ?= 5s
BENCH ?=
COUNT ?= 6

.PHONY: help
help: ## list what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./syncd
	go build -o syncd ./cmd/syncd

.PHONY: tools
tools: ## install what the tests need beside Go, g++ and git (Node.js, for a foreign DuckDB client)
	@./scripts/install-test-tools

.PHONY: test
test: tools ## install what the tests need, try to break syncd, and run the whole suite, race detector included
	go vet ./...
	./scripts/proof 300 40 5s $(MAKE) --no-print-directory race

.PHONY: race
race: ## run the suite with the race detector alone, without installing anything
	go test -ldflags=-w -timeout 10m ./bench/... # nothing that is measured runs with the detector
	go test -race -ldflags=-w -timeout 10m . ./cmd/... ./internal/...

.PHONY: lint
lint: ## run golangci-lint
	$(GOLANGCI_LINT) run ./...

.PHONY: proof
proof: ## try to break it: SEEDS simulated lives (300), KILLS killed processes (40), each fuzz target for FUZZTIME (5s)
	@./scripts/proof $(SEEDS) $(KILLS) $(FUZZTIME)

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (5s)
	@./scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## measure syncd against its references, and print the table of BENCHMARKS.md (BENCH="-scale 0.01": quickly; "-help": what there is)
	go run ./bench $(BENCH)

.PHONY: bench-parts
bench-parts: ## run the benchmarks of the parts, ready for benchstat (COUNT times, 6)
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./internal/extract ./internal/transform ./internal/load

.PHONY: demo
demo: ## show the main job with nothing to set up
	go run ./cmd/syncd demo
