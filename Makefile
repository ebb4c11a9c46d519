# The commands of this project. `make help` lists them.

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

BIN := $(CURDIR)/bin

# Tools are built from the versions that hack/tools/go.mod pins.
ACTIONLINT     := $(BIN)/actionlint
CONTROLLER_GEN := $(BIN)/controller-gen
GOLANGCI_LINT  := $(BIN)/golangci-lint
KUSTOMIZE      := $(BIN)/kustomize
SETUP_ENVTEST  := $(BIN)/setup-envtest

# Helm is built from the version that test/helm/go.mod pins, by which the chart is tested.
HELM := $(BIN)/helm

# OLM's two operators, what they run in Pods, opm, and the scorecard's tests, from the versions that test/olm/go.mod pins.
OLM_PACKAGES := $(addprefix github.com/operator-framework/operator-lifecycle-manager/,cmd/catalog cmd/copy-content cmd/olm util/cpb) \
  github.com/operator-framework/operator-registry/cmd/opm github.com/grpc-ecosystem/grpc-health-probe \
  github.com/operator-framework/operator-sdk/images/scorecard-test
OLM := $(addprefix $(BIN)/olm/,$(notdir $(OLM_PACKAGES)))

# Programs of Debian's that are not installed: containerd 1.6, a second judge of our hosts.toml, and the cp of OLM's image.
DEBIAN_CONTAINERD := $(BIN)/debian/usr/bin/containerd
BUSYBOX := $(BIN)/debian/bin/busybox

# etcd, kube-apiserver and kubectl: those in KUBEBUILDER_ASSETS where it is set, and else built from the modules that
# test/cluster/kubernetes/go.mod pins.
CONTROL_PLANE := $(if $(KUBEBUILDER_ASSETS),,$(addprefix $(BIN)/k8s/,etcd kube-apiserver kubectl))
export KUBEBUILDER_ASSETS ?= $(BIN)/k8s

# What a node needs beside them, from the modules that test/cluster/kubernetes/go.mod and test/cluster/runtime/go.mod pin.
RUNTIME_PACKAGES := $(addprefix github.com/containerd/containerd/v2/cmd/,containerd containerd-shim-runc-v2 ctr) \
  github.com/opencontainers/runc \
  $(addprefix github.com/containernetworking/plugins/plugins/,main/ptp main/loopback ipam/host-local)
RUNTIME := $(addprefix $(BIN)/k8s/,$(notdir $(RUNTIME_PACKAGES)))
NODE := $(CONTROL_PLANE) $(addprefix $(BIN)/k8s/,kube-controller-manager kube-scheduler kubelet) $(RUNTIME)

# Podman, from the module that test/cluster/podman/go.mod pins; Debian's is the oldest that the tests hold it against.
PODMAN := $(BIN)/k8s/podman

# Packages of the programs, and those of tests on real parts without the ones that need root.
PACKAGES := ./api/... ./cmd/... ./config/... ./hack/... ./internal/...
TEST_PACKAGES = $(shell go list ./test/... | grep -v /test/e2e)

##@ General

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z0-9_-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build

VERSION ?= v0.1.0-dev
COMMIT ?= $(shell git rev-parse --short=12 HEAD)
VERSION_PACKAGE := github.com/mirrorset/mirrorset/internal/version

# What a program is depends on the commit, the version and Go's, and on nothing else of the machine it is built on.
GO_BUILD = CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0 go build -trimpath -ldflags "-s -w -X $(VERSION_PACKAGE).Version=$(VERSION) -X $(VERSION_PACKAGE).Commit=$(COMMIT)"

.PHONY: build
build: ## Build the programs into bin/.
	$(GO_BUILD) -o $(BIN)/ ./cmd/...

ARCHITECTURES ?= amd64 arm64
# The plugin's platforms.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
comma := ,
empty :=
space := $(empty) $(empty)

.PHONY: plugins
plugins: ## Build the plugin for each of PLATFORMS.
	for platform in $(PLATFORMS); do \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o $(BIN)/$${platform/\//-}/ ./cmd/kubectl-mirrors; \
	done

.PHONY: image-programs
image-programs: ## Build the image's programs for each of ARCHITECTURES.
	for arch in $(ARCHITECTURES); do GOOS=linux GOARCH=$$arch $(GO_BUILD) -o $(BIN)/linux-$$arch/ ./cmd/manager ./cmd/agent; done

export IMG ?= ghcr.io/mirrorset/mirrorset:$(VERSION)

.PHONY: image
image: image-programs ## Write the image IMG as the OCI archive dist/mirrorset.tar, and its digest beside it, without a container engine.
	go run ./hack/image -of manager -name $(IMG) -version $(VERSION) -revision $(COMMIT) \
	  -architectures $(subst $(space),$(comma),$(ARCHITECTURES)) -out dist/mirrorset.tar

.PHONY: generate
generate: $(BIN)/generated ## Generate deep copies, apply configurations, CRDs and roles from the code, and the chart's objects from config/.

# The generated files are among what they come from: one that was changed by hand is written anew. Where nothing was changed, nothing is
# written, so that other programs can read meanwhile.
$(BIN)/generated: $(shell find api config charts/mirrorset internal/controller hack/boilerplate.go.txt) go.mod Makefile $(CONTROLLER_GEN) $(KUSTOMIZE)
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt applyconfiguration:headerFile=hack/boilerplate.go.txt \
	  crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=manager paths=./internal/controller/... output:rbac:dir=config/rbac
	for part in default prometheus grafana; do $(KUSTOMIZE) build config/$$part > charts/mirrorset/files/$$part.yaml; done
	@touch $@

.PHONY: control-plane
control-plane: $(CONTROL_PLANE) ## Build etcd, kube-apiserver and kubectl (minutes the first time).

.PHONY: node
node: $(NODE) ## Build all programs of a real Kubernetes node (minutes the first time).

##@ Try

.PHONY: demo
demo: build control-plane ## Run the main job on an embedded control plane; KEEP=1 leaves it running until Ctrl-C.
	@go build -o $(BIN)/demo ./test/demo
	@KEEP=$(KEEP) exec $(BIN)/demo # in the place of the shell, so that it gets make's signals

.PHONY: cluster
cluster: node build image ## Start a real cluster of one node that has the image IMG, in the background (root).
	@go run ./test/cluster/cmd up $(BIN)/cluster $(BIN)/k8s dist/mirrorset.tar

.PHONY: cluster-down
cluster-down: ## Stop it and remove all that it left.
	@go run ./test/cluster/cmd down $(BIN)/cluster

##@ Install

KUBECTL ?= kubectl

# IMG in its two parts, for kustomize and for Helm.
IMG_BY_DIGEST = $(findstring @,$(IMG))
IMG_MARK = $(if $(IMG_BY_DIGEST),@,$(if $(findstring :,$(lastword $(subst /, ,$(IMG)))),:,$(error IMG=$(IMG): want NAME:TAG or NAME@DIGEST)))
IMG_LINE = images: [{name: ghcr.io/mirrorset/mirrorset, newName: "%s", $(if $(IMG_BY_DIGEST),digest,newTag): "%s"}]
IMG_PARTS = "$${IMG%$(IMG_MARK)*}" "$${IMG\#\#*$(IMG_MARK)}"

# Folders of config/ that are installed beside config/default, such as prometheus and grafana.
COMPONENTS ?=

.PHONY: build-installer
build-installer: generate $(KUSTOMIZE) ## Write all manifests, with the image IMG (NAME:TAG or NAME@DIGEST) and COMPONENTS, as dist/install.yaml.
	mkdir -p dist/installer
	printf 'resources: [../../config/default]\ncomponents: [$(subst $(space),$(comma),$(COMPONENTS:%=../../config/%))]\n$(IMG_LINE)\n' $(IMG_PARTS) > dist/installer/kustomization.yaml
	$(KUSTOMIZE) build dist/installer > dist/installer/all.yaml && mv dist/installer/all.yaml dist/install.yaml

CHART := charts/mirrorset

# The time in the package, so that the same chart is the same file.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

.PHONY: chart
chart: generate $(HELM) ## Write the Helm chart for VERSION as dist/mirrorset-VERSION.tgz.
	rm -rf dist/chart && mkdir -p dist/chart && cp -r $(CHART) dist/chart/
	find dist/chart -exec touch -d @$(SOURCE_DATE_EPOCH) {} +
	$(HELM) package dist/chart/mirrorset --version $(VERSION:v%=%) --app-version $(VERSION) --destination dist

.PHONY: helm-template
helm-template: generate $(HELM) ## Write what the chart installs, with the image IMG, as dist/chart.yaml.
	mkdir -p dist
	$(HELM) template mirrorset $(CHART) --namespace mirrorset-system \
	  --set-string image.repository="$${IMG%$(IMG_MARK)*}",image.$(if $(IMG_BY_DIGEST),digest,tag)="$${IMG##*$(IMG_MARK)}" > dist/all.yaml && mv dist/all.yaml dist/chart.yaml

# The images of the OLM bundle and of the catalog, and the channels that the release is in: a candidate is for who asks for one. CREATED_AT
# is when it was made (RFC 3339); it is left out where it is not given, so that the same tree gives the same bundle.
export BUNDLE_IMG ?= ghcr.io/mirrorset/mirrorset-bundle:$(VERSION)
export CATALOG_IMG ?= ghcr.io/mirrorset/mirrorset-catalog:$(VERSION)
CHANNELS ?= $(if $(findstring -,$(VERSION:-dev=)),candidate,candidate,fast,stable)
CREATED_AT ?=

# Writes the bundle, and the catalog that has its image by the name $(1), below the folder $(2).
define write-bundle
mkdir -p dist/bundle
printf 'resources: [../../config/manifests]\n$(IMG_LINE)\n' $(IMG_PARTS) > dist/bundle/kustomization.yaml
$(KUSTOMIZE) build dist/bundle | go run ./hack/bundle -version "$(VERSION)" -image "$(1)" -channels "$(CHANNELS)" -created-at "$(CREATED_AT)" -out "$(2)" $(3)
endef

.PHONY: bundle
bundle: generate $(KUSTOMIZE) ## Write the OLM bundle of VERSION, with the image IMG, and add it to CHANNELS of the catalog.
	$(call write-bundle,$(BUNDLE_IMG),.)

.PHONY: bundle-images
bundle-images: generate $(KUSTOMIZE) ## Write the same as OCI archives into dist/, with the bundle's image by digest in the catalog's, and nothing into the checkout.
	$(call write-bundle,$(BUNDLE_IMG),dist/olm)
	go run ./hack/image -of bundle -root dist/olm -name $(BUNDLE_IMG) -out dist/mirrorset-bundle.tar
	$(call write-bundle,$${BUNDLE_IMG%:*}@$$(cat dist/mirrorset-bundle.digest),dist/olm)
	go run ./hack/image -of catalog -root dist/olm -name $(CATALOG_IMG) -out dist/mirrorset-catalog.tar
	cp dist/olm/catalog/mirrorset/catalog.yaml dist/

# The catalogs that the release goes to: "latest" is that of OperatorHub.io, and OpenShift has one a version, as "v4.17 v4.18".
# OPERATORHUB_FIRST=1 is for the first release that a repository gets.
OPERATORHUB_CATALOGS ?= latest
OPERATORHUB_FIRST ?=

.PHONY: operatorhub
operatorhub: generate $(KUSTOMIZE) ## Write to dist/operatorhub what a pull request to a repository of community operators adds for VERSION, with the image IMG.
	rm -rf dist/operatorhub
	$(call write-bundle,$(BUNDLE_IMG),dist/operatorhub,-operatorhub -catalogs "$(OPERATORHUB_CATALOGS)" $(if $(OPERATORHUB_FIRST),-first))

.PHONY: install
install: ## Install the CRDs into the cluster of the current context.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: deploy
deploy: build-installer ## Install all of Mirrorset, with the image IMG, into the cluster of the current context.
	$(KUBECTL) apply --server-side -f dist/install.yaml

.PHONY: undeploy
undeploy: build-installer ## Delete all of Mirrorset but the CRDs with the sets. Agents clean their nodes first; see docs/how-to/uninstall.md.
	$(KUBECTL) delete --ignore-not-found -f dist/install.yaml

##@ Release

# What is released, and what SHA256SUMS is of. The chart has the image by its version, and the manifests and the OLM bundle by its digest.
RELEASED = $(foreach platform,$(PLATFORMS),kubectl-mirrors-$(subst /,-,$(platform))$(if $(findstring windows,$(platform)),.zip,.tar.gz)) \
  mirrors.yaml mirrorset-$(VERSION:v%=%).tgz mirrorset.tar mirrorset.digest mirrorset.cdx.json install.yaml \
  mirrorset-bundle.tar mirrorset-bundle.digest mirrorset-catalog.tar mirrorset-catalog.digest catalog.yaml

.PHONY: release
release: ## Write all files of the release VERSION to dist/.
	rm -rf dist
	$(MAKE) plugins image
	$(MAKE) build-installer chart bundle-images IMG="$${IMG%:*}@$$(cat dist/mirrorset.digest)" CREATED_AT=$$(date -u -d @$(SOURCE_DATE_EPOCH) +%FT%TZ)
	go run ./hack/release -version $(VERSION) -time $(SOURCE_DATE_EPOCH) -out dist \
	  -platforms $(subst $(space),$(comma),$(PLATFORMS)) -architectures $(subst $(space),$(comma),$(ARCHITECTURES))
	cd dist && sha256sum $(RELEASED) > SHA256SUMS

# The second build has a folder, a home, a folder of modules, a cache, a umask, a time zone, a language and a time of its own. Tools are
# shared: they are not released. With SHARED_CACHE=1 it takes what is compiled from the machine's cache, in which Go keeps it by all that it is
# made of. That spares minutes, and does not show that the compiler itself gives the same twice.
SHARED_CACHE ?=

.PHONY: reproducible
reproducible: ## Write a release to dist/, build it anew in another folder, and want the same bytes (all must be committed).
	@[ -z "$$(git status --porcelain)" ] || { echo "reproducible: the second build is of the last commit, and the tree differs from it: commit first" >&2; exit 1; }
	$(MAKE) release
	@twin=$$(mktemp -d); trap 'chmod -R u+w '$$twin'; rm -rf '$$twin EXIT; mkdir $$twin/home; umask 077; \
	git clone -q . $$twin/another/folder; \
	env -i PATH="$$(go env GOROOT)/bin:$$PATH" HOME=$$twin/home TZ=Pacific/Kiritimati LC_ALL=C GOTOOLCHAIN=local GOPROXY=off \
	  GOCACHE=$$(go env GOCACHE) GOMODCACHE=$$(go env GOMODCACHE) \
	  $(MAKE) -C $$twin/another/folder release CONTROLLER_GEN=$(CONTROLLER_GEN) KUSTOMIZE=$(KUSTOMIZE) HELM=$(HELM) VERSION=$(VERSION) IMG=$(IMG) BUNDLE_IMG=$(BUNDLE_IMG) CATALOG_IMG=$(CATALOG_IMG) CHANNELS=$(CHANNELS) PLATFORMS="$(PLATFORMS)" ARCHITECTURES="$(ARCHITECTURES)" \
	  GO_BUILD='$(if $(SHARED_CACHE),,GOCACHE='$$twin'/cache GOMODCACHE='$$twin'/modules GOPROXY=file://'$$(go env GOMODCACHE)'/cache/download GOSUMDB=off )$(GO_BUILD)'; \
	diff -r dist $$twin/another/folder/dist && echo "the two builds are the same, byte by byte:" && cat dist/SHA256SUMS

.PHONY: push
push: ## Push dist/mirrorset.tar as IMG, with all its architectures (skopeo).
	skopeo copy --all --preserve-digests oci-archive:dist/mirrorset.tar docker://$(IMG)

.PHONY: push-bundle
push-bundle: ## Push dist/mirrorset-bundle.tar as BUNDLE_IMG, and dist/mirrorset-catalog.tar as CATALOG_IMG (skopeo).
	skopeo copy --preserve-digests oci-archive:dist/mirrorset-bundle.tar docker://$(BUNDLE_IMG)
	skopeo copy --preserve-digests oci-archive:dist/mirrorset-catalog.tar docker://$(CATALOG_IMG)

.PHONY: publish
publish: ## Publish what is in dist/ as the release VERSION on GitHub (gh); its tag has to be there.
	cd dist && gh release create $(VERSION) --repo mirrorset/mirrorset --verify-tag --title $(VERSION) --notes-file release-notes.md \
	  $(if $(findstring -,$(VERSION)),--prerelease) $(RELEASED) SHA256SUMS

.PHONY: offer
offer: ## Have CatalogSources that follow the catalog's latest image see CATALOG_IMG, and OLM so offer the release (skopeo).
	skopeo copy --preserve-digests docker://$(CATALOG_IMG) docker://$${CATALOG_IMG%:*}:latest

##@ Check

# How many processes share out the specs of a suite. Most of their time goes by in waiting.
PROCS ?= 4
GINKGO := go run github.com/onsi/ginkgo/v2/ginkgo

TEST_PROGRAMS := build control-plane $(HELM) $(KUSTOMIZE) $(addprefix $(BIN)/olm/,opm scorecard-test)

.PHONY: test
test: $(TEST_PROGRAMS) ## Run all tests that need no root, on a real kube-apiserver where they need one.
	@$(MAKE) --no-print-directory test-packages test-modules test-integration

# The parts of test, one after the other: the specs of the last one have deadlines, which compilers beside them would use up.
.PHONY: test-packages
test-packages: $(TEST_PROGRAMS)
	go test $(PACKAGES)
	go test -count 1 -timeout 20m $(filter-out %/test/integration,$(TEST_PACKAGES)) # they run the programs in bin/, which Go's cache of results does not see

.PHONY: test-modules
test-modules: $(TEST_PROGRAMS)
	cd test/cluster/runtime && go test -count 1 ./... # containerd's own reader judges our hosts.toml
	cd test/prometheus && go test -count 1 ./... # and Prometheus our alerts and the dashboard
	cd test/helm && go test -count 1 ./... # and Helm and kustomize each other
	cd test/olm && go test -count 1 ./... # and upstream's validators and scorecard the OLM bundle, and opm the catalog
	cd test/openshift && go test ./... # and OpenShift's merge ours
	cd test/gitops && go test -count 1 ./... # and kstatus and Argo CD's check the status of sets
	cd test/bench/harness && go test -count 1 ./... # and what is written into docs/explanation/performance.md

# Each process has a control plane to itself.
.PHONY: test-integration
test-integration: $(TEST_PROGRAMS)
	$(GINKGO) -procs $(PROCS) -randomize-all -timeout 30m ./test/integration

# The oldest Kubernetes that is supported, as setup-envtest names it.
OLDEST_KUBERNETES := 1.30.x

.PHONY: test-oldest
test-oldest: $(SETUP_ENVTEST) ## Run the same tests on the oldest supported Kubernetes, whose API server is downloaded.
	assets=$$($(SETUP_ENVTEST) use $(OLDEST_KUBERNETES) --bin-dir $(BIN)/envtest -p path) && $(MAKE) test KUBEBUILDER_ASSETS=$$assets

.PHONY: test-e2e
test-e2e: ARCHITECTURES := $(shell go env GOARCH)
test-e2e: node $(PODMAN) debian-containerd image-programs build-installer $(HELM) ## Run the tests on real runtimes, in PROCS processes (root, Debian's podman).
	go build ./cmd/... ./hack/image ./test/cluster/... # with the machine's network, which the specs have none of when they do
	$(GINKGO) -tags e2e -v -procs $(PROCS) -timeout 60m -label-filter '!olm && !mounted' ./test/e2e

.PHONY: test-olm
test-olm: ARCHITECTURES := $(shell go env GOARCH)
test-olm: node $(OLM) $(BUSYBOX) $(KUSTOMIZE) image-programs build-installer ## Have a real OLM install, upgrade and uninstall Mirrorset on a real node (root).
	go test -tags e2e -v -count 1 -timeout 30m ./test/e2e/ -ginkgo.label-filter olm

.PHONY: test-faults
test-faults: control-plane ## Kill the agent before a sample of the system calls by which it changes a host, give hosts a sample of sick disks, and look at what is there (root, iproute2).
	$(call kill-agents,-every 5)

.PHONY: test-faults-all
test-faults-all: control-plane ## The same before every one of them, and with every sick disk.
	$(call kill-agents)

define kill-agents
@$(MAKE) --no-print-directory build
@go build -o $(BIN)/faults ./test/faults
@go build -o $(BIN)/disks ./test/faults/disks
@exec $(BIN)/faults -agent $(BIN)/agent $(1) # in the place of the shell, so that it gets make's signals
@exec $(BIN)/disks $(1)
endef

# A count, because a time can end in a failure that is none before Go 1.27 (golang/go#75804).
FUZZ_RUNS ?= 20000

# How long sets change; the quiet points, at which files are compared, come on top.
SOAK ?= 10m

.PHONY: soak
soak: build control-plane ## Change sets 20 times a second for SOAK, with programs killed, and compare the files on hosts with the rules (root, iproute2).
	@go build -o $(BIN)/soak ./test/soak
	@exec $(BIN)/soak -for $(SOAK) # in the place of the shell, so that it gets make's signals

.PHONY: fuzz
fuzz: ## Run each fuzz target FUZZ_RUNS times.
	@grep -roE '^func Fuzz[A-Za-z0-9]+' --include '*_test.go' internal | sort | while IFS=: read -r file func; do \
	  echo "$$(dirname $$file) $${func#func }"; \
	  go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZ_RUNS)x -fuzzminimizetime 10x ./$$(dirname $$file) || exit 1; \
	done

# Rows of the table in docs/explanation/performance.md (all of them where none are named), how often each is measured, and the size of the layer that is
# streamed, as Kubernetes writes quantities.
ROWS ?=
RUNS ?= 5
LAYER ?= 1Gi

.PHONY: bench
bench: ## Measure ROWS of the table of docs/explanation/performance.md RUNS times, as "text lookup"; all rows unless they are given, of which some want root.
	@cd test/bench/harness && go build -o $(BIN)/harness .
	@exec $(BIN)/harness run -rows "$(ROWS)" -runs $(RUNS) -layer $(LAYER) -out $(BIN)/bench # in the place of the shell, so that it gets make's signals

DOCS ?= docs

.PHONY: bench-report
bench-report: ## Write what they came to into DOCS/performance.md, with plots.
	@cd test/bench/harness && go build -o $(BIN)/harness .
	@$(BIN)/harness report -from $(BIN)/bench -docs $(DOCS)

.PHONY: bench-stream
bench-stream: build $(BIN)/k8s/containerd ## Compare pulls of a LAYER that the redirector streams with direct ones, RUNS times (root).
	@go build -o $(BIN)/bench-stream ./test/bench/stream
	@exec $(BIN)/bench-stream -containerd -bin $(BIN) -layer $(LAYER) -runs $(RUNS) # in the place of the shell, so that it gets make's signals

# The commit that the time of a change is compared with, and how many changes each fleet makes.
BEFORE ?= HEAD^
CHANGES ?= 40

.PHONY: bench-change
bench-change: ARCHITECTURES := $(shell go env GOARCH)
bench-change: node image-programs build-installer ## Compare the time from a changed set to the files of 51 nodes with that of the commit BEFORE, of CHANGES changes on each of six fleets in turns (root).
	rm -rf $(BIN)/before && git clone -q . $(BIN)/before && git -C $(BIN)/before checkout -q "$(BEFORE)"
	$(MAKE) -C $(BIN)/before image-programs BIN=$(BIN)/before/bin ARCHITECTURES=$(ARCHITECTURES)
	MIRRORSET_BENCH_OTHER=$(BIN)/before MIRRORSET_BENCH_CHANGES=$(CHANGES) go test -tags e2e -v -count 1 -timeout 45m ./test/e2e/ -ginkgo.focus 'the time of a change'

# The npm package that draws a terminal's recording.
SVG_TERM := svg-term-cli@2.1.1

.PHONY: recording
recording: ARCHITECTURES := $(shell go env GOARCH)
recording: node image-programs build-installer ## Record a terminal for the README as docs/images/first-pull.svg (root, npx).
	MIRRORSET_RECORDING=$(BIN)/first-pull.cast go test -tags e2e -count 1 ./test/e2e/ -ginkgo.focus 'recording in the README'
	npx --yes $(SVG_TERM) --in $(BIN)/first-pull.cast --out docs/images/first-pull.svg --window --no-cursor

.PHONY: lint
lint: $(GOLANGCI_LINT) $(ACTIONLINT) ## Run the linters, which hold the import walls too.
	$(GOLANGCI_LINT) run --build-tags e2e --allow-parallel-runners
	$(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*

.PHONY: verify
verify: bundle ## Regenerate and tidy everything, then want a clean tree.
	for dir in . hack/tools test/cluster/kubernetes test/cluster/podman test/cluster/runtime test/prometheus test/helm test/olm test/openshift test/gitops test/bench/harness; do (cd $$dir && go mod tidy); done
	gofmt -l api cmd config hack internal test | (! grep .)
	@if [ -n "$$(git status --porcelain)" ]; then \
	  git status --short; git --no-pager diff; \
	  echo "verify: the tree differs from what is committed (see above)" >&2; exit 1; \
	fi

##@ Tools

$(ACTIONLINT): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ github.com/rhysd/actionlint/cmd/actionlint

$(SETUP_ENVTEST): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/controller-runtime/tools/setup-envtest

$(CONTROLLER_GEN): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(KUSTOMIZE): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/kustomize/kustomize/v5

$(HELM): test/helm/go.mod test/helm/go.sum
	cd test/helm && go build -trimpath -ldflags "-s -w" -o $@ helm.sh/helm/v4/cmd/helm

$(OLM): $(BIN)/olm/%: test/olm/go.mod test/olm/go.sum
	cd test/olm && CGO_ENABLED=0 go build -trimpath -tags "containers_image_openpgp exclude_graphdriver_btrfs json1" -ldflags "-s -w" \
	  -o $@ $(filter %/$*,$(OLM_PACKAGES))

# golangci-lint, with kube-api-linter as a plugin.
$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

# Shows how far a long build has come.
PROGRESS := awk 'NR % 250 == 0 { printf "  %d packages\n", NR; fflush() }'
K8S_VERSION = $(shell cd test/cluster/kubernetes && go list -m -f '{{.Version}}' k8s.io/kubernetes)

# Builds one program of a cluster out of the module that pins it.
define build-program
@echo "Building $* (once; minutes when nothing is cached)"
@mkdir -p $(@D)
@cd $(<D) && CGO_ENABLED=$(CGO) go build -v -trimpath -tags "$(TAGS)" \
  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$(K8S_VERSION)" -o $@ $(CLUSTER_PACKAGE) 2>&1 | $(PROGRESS)
@touch $@
endef

$(BIN)/k8s/%: CGO := 0
$(BIN)/k8s/%: TAGS :=
$(BIN)/k8s/etcd: CLUSTER_PACKAGE := go.etcd.io/etcd/server/v3
$(BIN)/k8s/%: CLUSTER_PACKAGE = k8s.io/kubernetes/cmd/$*
$(BIN)/k8s/%: test/cluster/kubernetes/go.mod test/cluster/kubernetes/go.sum
	$(build-program)

$(RUNTIME): TAGS := no_btrfs no_devmapper no_zfs seccomp
$(RUNTIME): CLUSTER_PACKAGE = $(filter %/$*,$(RUNTIME_PACKAGES))
$(BIN)/k8s/runc: CGO := 1
$(BIN)/k8s/runc: | libseccomp
$(RUNTIME): $(BIN)/k8s/%: test/cluster/runtime/go.mod test/cluster/runtime/go.sum
	$(build-program)

$(PODMAN): CGO := 1
$(PODMAN): TAGS := containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper
$(PODMAN): CLUSTER_PACKAGE := github.com/containers/podman/v5/cmd/podman
$(PODMAN): $(BIN)/k8s/%: test/cluster/podman/go.mod test/cluster/podman/go.sum
	$(build-program)

.PHONY: debian-containerd
debian-containerd: $(DEBIAN_CONTAINERD)

$(DEBIAN_CONTAINERD): DEBIAN_PACKAGE := containerd
$(BUSYBOX): DEBIAN_PACKAGE := busybox-static
$(DEBIAN_CONTAINERD) $(BUSYBOX):
	@mkdir -p $(BIN)/debian
	@cd $(BIN)/debian && apt-get -qq -o APT::Sandbox::User=root download $(DEBIAN_PACKAGE) || \
	  { echo "Debian's $(DEBIAN_PACKAGE) is needed: apt-get update" >&2; exit 1; }
	@cd $(BIN)/debian && dpkg-deb --fsys-tarfile $(DEBIAN_PACKAGE)_*.deb | tar -x .$(@:$(BIN)/debian%=%) && rm $(DEBIAN_PACKAGE)_*.deb

.PHONY: libseccomp
libseccomp:
	@pkg-config --exists libseccomp || { echo "runc needs libseccomp: apt-get install libseccomp-dev pkg-config" >&2; exit 1; }

.PHONY: clean
clean: ## Remove what was built.
	rm -rf $(BIN) dist
