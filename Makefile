# The commands of this project. `make help` lists them.

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

BIN := $(CURDIR)/bin

# Tools are built from the versions that hack/tools/go.mod pins.
CONTROLLER_GEN := $(BIN)/controller-gen
GOLANGCI_LINT  := $(BIN)/golangci-lint

# Packages without those that need root or what `make test-e2e` builds.
PACKAGES = $(shell go list ./... | grep -v /test/e2e)

##@ General

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z0-9_-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build

.PHONY: build
build: ## Build the programs into bin/.
	CGO_ENABLED=0 go build -trimpath -o $(BIN)/ ./cmd/...

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate deep copies and the CRDs from the API types.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt crd paths=./api/... output:crd:dir=config/crd/bases

##@ Check

.PHONY: test
test: ## Run the tests that need no root.
	go test $(PACKAGES)

.PHONY: test-e2e
test-e2e: ## Run the tests on real runtimes (root, podman).
	go test -tags e2e -count 1 -timeout 30m ./test/e2e/...

FUZZ_SECONDS ?= 10

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZ_SECONDS.
	@go list ./... | while read -r pkg; do \
	  go test -list '^Fuzz' $$pkg | grep '^Fuzz' | while read -r target; do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_SECONDS)s $$pkg; \
	  done || exit 1; \
	done

.PHONY: bench
bench: ## Run the benchmarks.
	go test -run '^$$' -bench . -benchmem $(PACKAGES)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters, which hold the import walls too.
	$(GOLANGCI_LINT) run --build-tags e2e

.PHONY: verify
verify: generate ## Regenerate and tidy everything, then want a clean tree.
	for dir in . hack/tools test/cluster; do (cd $$dir && go mod tidy); done
	gofmt -l api cmd internal test | (! grep .)
	@if [ -n "$$(git status --porcelain)" ]; then \
	  git status --short; git --no-pager diff; \
	  echo "verify: the tree differs from what is committed (see above)" >&2; exit 1; \
	fi

##@ Tools

$(CONTROLLER_GEN): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

# golangci-lint, with kube-api-linter as a plugin.
$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

.PHONY: clean
clean: ## Remove what was built.
	rm -rf $(BIN) dist
