# The commands of this project. `make help` lists the common ones, and `make help-all` lists all.

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

BIN := $(CURDIR)/bin

# Tools are built from the versions that hack/tools/go.mod pins.
ACTIONLINT     := $(BIN)/actionlint
CONTROLLER_GEN := $(BIN)/controller-gen
CRD_REF_DOCS   := $(BIN)/crd-ref-docs
GOLANGCI_LINT  := $(BIN)/golangci-lint
KUSTOMIZE      := $(BIN)/kustomize
SETUP_ENVTEST  := $(BIN)/setup-envtest

# helm-docs, from the version that hack/tools/helm-docs/go.mod pins. It has a module of its own, because golangci-lint needs
# an older viper.
HELM_DOCS := $(BIN)/helm-docs

# Vale, from the version that hack/vale/go.mod pins. It has a module of its own, so that it does not change the versions
# that the tools above are built from.
VALE := $(BIN)/vale

# Helm, from the version that test/helm/go.mod pins. The chart is tested with that version.
HELM := $(BIN)/helm

# OLM's two operators, the programs that they run in Pods, opm, and the scorecard's tests, from the versions that
# test/olm/go.mod pins.
OLM_PACKAGES := $(addprefix github.com/operator-framework/operator-lifecycle-manager/,cmd/catalog cmd/copy-content cmd/olm util/cpb) \
  github.com/operator-framework/operator-registry/cmd/opm github.com/grpc-ecosystem/grpc-health-probe \
  github.com/operator-framework/operator-sdk/images/scorecard-test
OLM := $(addprefix $(BIN)/olm/,$(notdir $(OLM_PACKAGES)))

# Programs from Debian's packages, which are not installed: containerd 1.6, which checks our hosts.toml too, and busybox, the
# cp of OLM's image.
DEBIAN_CONTAINERD := $(BIN)/debian/usr/bin/containerd
BUSYBOX := $(BIN)/debian/bin/busybox

# etcd, kube-apiserver and kubectl for the demo and the tests come from one of these folders:
#   1. KUBEBUILDER_ASSETS, where the caller sets it;
#   2. bin/k8s, where they are built already, or where BUILD=1 asks for a build;
#   3. bin/prebuilt/VERSION, to which setup-envtest downloads them and verifies their checksum;
#   4. bin/k8s, where no download is possible.
# bin/control-plane is a link to that folder. The version is the one that test/cluster/kubernetes/go.mod pins.
K8S_VERSION = $(shell awk '$$1 == "k8s.io/kubernetes" { print $$2 }' test/cluster/kubernetes/go.mod)
BUILT := $(addprefix $(BIN)/k8s/,etcd kube-apiserver kubectl)
PREBUILT = $(BIN)/prebuilt/$(K8S_VERSION)
CHOSEN := $(BIN)/control-plane
GIVEN := $(filter-out $(CHOSEN),$(KUBEBUILDER_ASSETS))
export KUBEBUILDER_ASSETS ?= $(CHOSEN)
BUILD ?=
# The URL of setup-envtest's index, for networks that have a mirror of it.
ENVTEST_INDEX ?=

# The other programs of a node, from the modules that test/cluster/kubernetes/go.mod and test/cluster/runtime/go.mod pin.
RUNTIME_PACKAGES := $(addprefix github.com/containerd/containerd/v2/cmd/,containerd containerd-shim-runc-v2 ctr) \
  github.com/opencontainers/runc \
  $(addprefix github.com/containernetworking/plugins/plugins/,main/ptp main/loopback ipam/host-local)
RUNTIME := $(addprefix $(BIN)/k8s/,$(notdir $(RUNTIME_PACKAGES)))
NODE := $(if $(GIVEN),,$(BUILT)) $(addprefix $(BIN)/k8s/,kube-controller-manager kube-scheduler kubelet) $(RUNTIME)

# Podman, from the module that test/cluster/podman/go.mod pins. The oldest Podman in the tests is Debian's.
PODMAN := $(BIN)/k8s/podman

# The packages of the programs, and the packages of tests on real components, except those that need root.
PACKAGES := ./api/... ./cmd/... ./config/... ./hack/... ./internal/...
TEST_PACKAGES = $(shell go list ./test/... | grep -v /test/e2e)

##@ General

# `make help` lists these.
COMMON := build demo test lint verify image cluster cluster-down deploy undeploy

.PHONY: help
help: ## List the common targets.
	@echo "Common targets (make help-all shows the rest):"
	@awk -v common=" $(COMMON) " 'BEGIN {FS = ":.*## "} \
	  /^[a-zA-Z0-9_-]+:.*## / && index(common, " " $$1 " ") {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: help-all
help-all: ## List all targets.
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z0-9_-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build

VERSION ?= v0.1.0-dev
COMMIT ?= $(shell git rev-parse --short=12 HEAD)
VERSION_PACKAGE := github.com/mirrorset/mirrorset/internal/version

# A program depends on the commit, its version and the version of Go. Nothing else on the build machine changes it.
GO_BUILD = CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0 go build -trimpath -ldflags "-s -w -X $(VERSION_PACKAGE).Version=$(VERSION) -X $(VERSION_PACKAGE).Commit=$(COMMIT)"

.PHONY: build
build: ## Build the programs into bin/.
	$(GO_BUILD) -o $(BIN)/ ./cmd/...

ARCHITECTURES ?= amd64 arm64
# The platforms that the plugin is built for.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
comma := ,
empty :=
space := $(empty) $(empty)

.PHONY: plugins
plugins: ## Build the kubectl plugin for each of PLATFORMS.
	for platform in $(PLATFORMS); do \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o $(BIN)/$${platform/\//-}/ ./cmd/kubectl-mirrors; \
	done

.PHONY: image-programs
image-programs: ## Build the programs of the image for each of ARCHITECTURES.
	for arch in $(ARCHITECTURES); do GOOS=linux GOARCH=$$arch $(GO_BUILD) -o $(BIN)/linux-$$arch/ ./cmd/manager ./cmd/agent; done

export IMG ?= ghcr.io/mirrorset/mirrorset:$(VERSION)

.PHONY: image
image: image-programs ## Write the image IMG to the OCI archive dist/mirrorset.tar; no container engine is needed.
	go run ./hack/image -of manager -name $(IMG) -version $(VERSION) -revision $(COMMIT) \
	  -architectures $(subst $(space),$(comma),$(ARCHITECTURES)) -out dist/mirrorset.tar

.PHONY: generate
generate: $(BIN)/generated $(BIN)/reference ## Generate code, CRDs and roles from the Go types, the chart's objects from config/, and its README.

# The generated files are prerequisites too, so a file that was changed by hand is generated again. Where nothing changed,
# nothing is written, and other programs can read the files meanwhile.
$(BIN)/generated: $(shell find api config charts/mirrorset internal/controller hack/boilerplate.go.txt) go.mod Makefile $(CONTROLLER_GEN) $(HELM_DOCS) $(KUSTOMIZE)
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt applyconfiguration:headerFile=hack/boilerplate.go.txt \
	  crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=manager paths=./internal/controller/... output:rbac:dir=config/rbac
	for part in default prometheus grafana; do $(KUSTOMIZE) build config/$$part > charts/mirrorset/files/$$part.yaml; done
	$(HELM_DOCS) --chart-search-root charts/mirrorset --sort-values-order file --log-level warning
	@touch $@

# The reference pages come from the types of the API, the commands of the plugin, and the help texts of the manager and the agent. Manifests
# and packages do not need them.
REFERENCE_DOCS := $(addprefix docs/reference/,api.md flags.md kubectl-mirrors.md)

$(BIN)/reference: $(shell find api cmd internal/plugin internal/agent hack/reference -type f -not -name '*_test.go' -not -path '*/testdata/*') \
  $(wildcard $(REFERENCE_DOCS)) go.mod Makefile $(CRD_REF_DOCS)
	$(CRD_REF_DOCS) --log-level ERROR --source-path api --config hack/reference/api/config.yaml --templates-dir hack/reference/api \
	  --renderer markdown --output-path docs/reference/api.md
	go run ./hack/reference
	@touch $@

.PHONY: control-plane
control-plane: ## Download etcd, kube-apiserver and kubectl, or build them (BUILD=1 always does).

ifeq ($(GIVEN),)
ifneq ($(filter 1,$(BUILD))$(if $(filter-out $(wildcard $(BUILT)),$(BUILT)),,built),)
control-plane: $(BUILT)
	@ln -sfn k8s $(CHOSEN)
else
control-plane: $(SETUP_ENVTEST)
	@test/controlplane/prebuilt $(SETUP_ENVTEST) $(PREBUILT)
	@[ -d $(PREBUILT) ] || $(MAKE) --no-print-directory $(BUILT)
	@if [ -d $(PREBUILT) ]; then ln -sfn prebuilt/$(K8S_VERSION) $(CHOSEN); else ln -sfn k8s $(CHOSEN); fi
endif
endif

.PHONY: node
node: $(NODE) ## Build all programs of a real Kubernetes node (minutes the first time).

##@ Try

.PHONY: demo
demo: build control-plane ## Show how sets become files on a node, on a real API server; KEEP=1 keeps it running.
	@go build -o $(BIN)/demo ./test/demo
	@KEEP=$(KEEP) exec $(BIN)/demo # exec, so that make's signals reach the program

.PHONY: cluster
cluster: node build image ## Start a real cluster of one node with the image IMG, in the background (needs root).
	@go run ./test/cluster/cmd up $(BIN)/cluster $(BIN)/k8s dist/mirrorset.tar

.PHONY: cluster-down
cluster-down: ## Stop the cluster of `make cluster`, and remove its files.
	@go run ./test/cluster/cmd down $(BIN)/cluster

##@ Install

KUBECTL ?= kubectl

# The two parts of IMG, the name and the tag or digest, for kustomize and Helm.
IMG_BY_DIGEST = $(findstring @,$(IMG))
IMG_MARK = $(if $(IMG_BY_DIGEST),@,$(if $(findstring :,$(lastword $(subst /, ,$(IMG)))),:,$(error IMG=$(IMG) has no tag and no digest; use NAME:TAG or NAME@DIGEST)))
IMG_LINE = images: [{name: ghcr.io/mirrorset/mirrorset, newName: "%s", $(if $(IMG_BY_DIGEST),digest,newTag): "%s"}]
IMG_PARTS = "$${IMG%$(IMG_MARK)*}" "$${IMG\#\#*$(IMG_MARK)}"

# Folders of config/ to install in addition to config/default, such as prometheus and grafana.
COMPONENTS ?=

.PHONY: build-installer
build-installer: $(BIN)/generated $(KUSTOMIZE) ## Write all manifests, with the image IMG and COMPONENTS, to dist/install.yaml.
	mkdir -p dist/installer
	printf 'resources: [../../config/default]\ncomponents: [$(subst $(space),$(comma),$(COMPONENTS:%=../../config/%))]\n$(IMG_LINE)\n' $(IMG_PARTS) > dist/installer/kustomization.yaml
	$(KUSTOMIZE) build dist/installer > dist/installer/all.yaml && mv dist/installer/all.yaml dist/install.yaml

CHART := charts/mirrorset

# The time of the files in the package. It is that of the commit, so that one commit always gives the same package.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

.PHONY: chart
chart: $(BIN)/generated $(HELM) ## Write the Helm chart of VERSION to dist/mirrorset-VERSION.tgz.
	rm -rf dist/chart && mkdir -p dist/chart && cp -r $(CHART) dist/chart/
	sed -i 's|\(artifacthub.io/prerelease: \).*|\1"$(if $(findstring -,$(VERSION)),true,false)"|' dist/chart/mirrorset/Chart.yaml
	find dist/chart -exec touch -d @$(SOURCE_DATE_EPOCH) {} +
	$(HELM) package dist/chart/mirrorset --version $(VERSION:v%=%) --app-version $(VERSION) --destination dist

.PHONY: helm-template
helm-template: $(BIN)/generated $(HELM) ## Write the objects that the chart installs, with the image IMG, to dist/chart.yaml.
	mkdir -p dist
	$(HELM) template mirrorset $(CHART) --namespace mirrorset-system \
	  --set-string image.repository="$${IMG%$(IMG_MARK)*}",image.$(if $(IMG_BY_DIGEST),digest,tag)="$${IMG##*$(IMG_MARK)}" > dist/all.yaml && mv dist/all.yaml dist/chart.yaml

# The images of the OLM bundle and of the catalog, and the channels of the release. A release candidate is only in the channel
# candidate, which users choose themselves. CREATED_AT is the time of the release (RFC 3339). Without it the bundle has no
# time, so that one tree always gives the same bundle.
export BUNDLE_IMG ?= ghcr.io/mirrorset/mirrorset-bundle:$(VERSION)
export CATALOG_IMG ?= ghcr.io/mirrorset/mirrorset-catalog:$(VERSION)
CHANNELS ?= $(if $(findstring -,$(VERSION:-dev=)),candidate,candidate,fast,stable)
CREATED_AT ?=

# Writes the bundle, and a catalog that names the bundle's image $(1), to the folder $(2). $(3) are more flags.
define write-bundle
mkdir -p dist/bundle
printf 'resources: [../../config/manifests]\n$(IMG_LINE)\n' $(IMG_PARTS) > dist/bundle/kustomization.yaml
$(KUSTOMIZE) build dist/bundle | go run ./hack/bundle -version "$(VERSION)" -image "$(1)" -channels "$(CHANNELS)" -created-at "$(CREATED_AT)" -out "$(2)" $(3)
endef

.PHONY: bundle
bundle: $(BIN)/generated $(KUSTOMIZE) ## Write the OLM bundle of VERSION with the image IMG, and add it to CHANNELS of the catalog.
	$(call write-bundle,$(BUNDLE_IMG),.)

# The catalog's image names the bundle's image by digest.
.PHONY: bundle-images
bundle-images: $(BIN)/generated $(KUSTOMIZE) ## Write the bundle and the catalog as OCI archives to dist/, and nothing to the checkout.
	$(call write-bundle,$(BUNDLE_IMG),dist/olm)
	go run ./hack/image -of bundle -root dist/olm -name $(BUNDLE_IMG) -out dist/mirrorset-bundle.tar
	$(call write-bundle,$${BUNDLE_IMG%:*}@$$(cat dist/mirrorset-bundle.digest),dist/olm)
	go run ./hack/image -of catalog -root dist/olm -name $(CATALOG_IMG) -out dist/mirrorset-catalog.tar
	cp dist/olm/catalog/mirrorset/catalog.yaml dist/

# The catalogs that get the release. "latest" is the catalog of OperatorHub.io. OpenShift has one catalog per version, such as
# "v4.17 v4.18". OPERATORHUB_FIRST=1 is for the first release in a repository.
OPERATORHUB_CATALOGS ?= latest
OPERATORHUB_FIRST ?=

.PHONY: operatorhub
operatorhub: $(BIN)/generated $(KUSTOMIZE) ## Write the files of a pull request to a community operators repository to dist/operatorhub.
	rm -rf dist/operatorhub
	$(call write-bundle,$(BUNDLE_IMG),dist/operatorhub,-operatorhub -catalogs "$(OPERATORHUB_CATALOGS)" $(if $(OPERATORHUB_FIRST),-first))

.PHONY: install
install: ## Install the CRDs into the cluster of the current kubectl context.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: deploy
deploy: build-installer ## Install Mirrorset, with the image IMG, into the cluster of the current kubectl context.
	$(KUBECTL) apply --server-side -f dist/install.yaml

# docs/how-to/uninstall.md describes each way to uninstall.
.PHONY: undeploy
undeploy: build-installer ## Delete Mirrorset but keep the CRDs and the sets; the agents clean their nodes first.
	$(KUBECTL) delete --ignore-not-found -f dist/install.yaml

##@ Release

# The files of a release, which SHA256SUMS lists. The chart names the image by its version. The manifests and the OLM bundle name
# it by its digest.
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

# The second build has its own folder, home, folder of modules, cache, umask, time zone, language and time. The builds share the
# tools, which are not released. With SHARED_CACHE=1 the second build takes compiled packages from the machine's cache, where Go
# stores them by everything that they are made of. That saves minutes, but it does not show that the compiler gives the same
# result twice.
SHARED_CACHE ?=

.PHONY: reproducible
reproducible: ## Build a release twice, in two folders, and compare the bytes (commit all changes first).
	@[ -z "$$(git status --porcelain)" ] || { echo "error: the second build is of the last commit, and the working tree differs from it; commit your changes first" >&2; exit 1; }
	$(MAKE) release
	@twin=$$(mktemp -d); trap 'chmod -R u+w '$$twin'; rm -rf '$$twin EXIT; mkdir $$twin/home; umask 077; \
	git clone -q . $$twin/another/folder; \
	env -i PATH="$$(go env GOROOT)/bin:$$PATH" HOME=$$twin/home TZ=Pacific/Kiritimati LC_ALL=C GOTOOLCHAIN=local GOPROXY=off \
	  GOCACHE=$$(go env GOCACHE) GOMODCACHE=$$(go env GOMODCACHE) \
	  $(MAKE) -C $$twin/another/folder release CONTROLLER_GEN=$(CONTROLLER_GEN) KUSTOMIZE=$(KUSTOMIZE) HELM=$(HELM) HELM_DOCS=$(HELM_DOCS) VERSION=$(VERSION) IMG=$(IMG) BUNDLE_IMG=$(BUNDLE_IMG) CATALOG_IMG=$(CATALOG_IMG) CHANNELS=$(CHANNELS) PLATFORMS="$(PLATFORMS)" ARCHITECTURES="$(ARCHITECTURES)" \
	  GO_BUILD='$(if $(SHARED_CACHE),,GOCACHE='$$twin'/cache GOMODCACHE='$$twin'/modules GOPROXY=file://'$$(go env GOMODCACHE)'/cache/download GOSUMDB=off )$(GO_BUILD)'; \
	diff -r dist $$twin/another/folder/dist && echo "The two builds are identical, byte by byte:" && cat dist/SHA256SUMS

.PHONY: push
push: ## Push dist/mirrorset.tar as IMG, with all its architectures (needs Skopeo).
	skopeo copy --all --preserve-digests oci-archive:dist/mirrorset.tar docker://$(IMG)

.PHONY: push-bundle
push-bundle: ## Push the archives of the bundle and the catalog as BUNDLE_IMG and CATALOG_IMG (needs Skopeo).
	skopeo copy --preserve-digests oci-archive:dist/mirrorset-bundle.tar docker://$(BUNDLE_IMG)
	skopeo copy --preserve-digests oci-archive:dist/mirrorset-catalog.tar docker://$(CATALOG_IMG)

.PHONY: publish
publish: ## Publish dist/ as the release VERSION on GitHub; its tag must exist (needs gh).
	cd dist && gh release create $(VERSION) --repo mirrorset/mirrorset --verify-tag --title $(VERSION) --notes-file release-notes.md \
	  $(if $(findstring -,$(VERSION)),--prerelease) $(RELEASED) SHA256SUMS

.PHONY: offer
offer: ## Make CATALOG_IMG the catalog's latest image, so that OLM offers the release (needs Skopeo).
	skopeo copy --preserve-digests docker://$(CATALOG_IMG) docker://$${CATALOG_IMG%:*}:latest

##@ Check

# The number of processes that share the specs of a suite. They wait most of the time.
PROCS ?= 4
GINKGO := go run github.com/onsi/ginkgo/v2/ginkgo

TEST_PROGRAMS := build control-plane $(SETUP_ENVTEST) $(VALE) $(HELM) $(KUSTOMIZE) $(addprefix $(BIN)/olm/,opm scorecard-test)

.PHONY: test
test: $(TEST_PROGRAMS) ## Run all tests that need no root, on a real API server where they need one.
	@$(MAKE) --no-print-directory test-packages test-modules test-integration

# The parts of `make test`, one after the other. The specs of the last part have deadlines, which they would miss next to compilers.
.PHONY: test-packages
test-packages: $(TEST_PROGRAMS)
	go test $(PACKAGES)
	go test -count 1 -timeout 20m $(filter-out %/test/integration,$(TEST_PACKAGES)) # not cached: Go does not notice a change of the programs in bin/, which they run

.PHONY: test-modules
test-modules: $(TEST_PROGRAMS)
	cd test/cluster/runtime && go test -count 1 ./... # containerd's own reader checks our hosts.toml
	cd test/prometheus && go test -count 1 ./... # Prometheus checks our alerts and the dashboard
	cd test/helm && go test -count 1 ./... # the objects of Helm and those of kustomize are compared
	cd test/olm && go test -count 1 ./... # upstream's validators and scorecard check the OLM bundle, and opm checks the catalog
	cd test/openshift && go test ./... # our merge is compared with OpenShift's
	cd test/gitops && go test -count 1 ./... # kstatus and Argo CD's health check read the status of sets
	cd test/bench/harness && go test -count 1 ./... # the program that writes docs/explanation/performance.md

# Each process has its own control plane.
.PHONY: test-integration
test-integration: $(TEST_PROGRAMS)
	$(GINKGO) -procs $(PROCS) -randomize-all -timeout 30m ./test/integration

# The oldest supported Kubernetes, as setup-envtest names it.
OLDEST_KUBERNETES := 1.30.x

.PHONY: test-oldest
test-oldest: $(SETUP_ENVTEST) ## Run `make test` on the oldest supported Kubernetes, whose API server is downloaded.
	assets=$$($(SETUP_ENVTEST) use $(OLDEST_KUBERNETES) $(if $(ENVTEST_INDEX),--index $(ENVTEST_INDEX)) --bin-dir $(BIN)/envtest -p path) && $(MAKE) test KUBEBUILDER_ASSETS=$$assets

.PHONY: test-e2e
test-e2e: ARCHITECTURES := $(shell go env GOARCH)
test-e2e: node $(PODMAN) debian-containerd image-programs build-installer $(HELM) ## Run the tests on real runtimes in PROCS processes (needs root, Debian's Podman and Skopeo).
	go build ./cmd/... ./hack/image ./test/cluster/... # while there is a network: the specs build them too, but have none
	$(GINKGO) -tags e2e -v -procs $(PROCS) -timeout 60m -label-filter '!olm && !mounted' ./test/e2e

.PHONY: test-olm
test-olm: ARCHITECTURES := $(shell go env GOARCH)
test-olm: node $(OLM) $(BUSYBOX) $(KUSTOMIZE) image-programs build-installer ## Install, upgrade and uninstall Mirrorset by a real OLM on a real node (needs root).
	go test -tags e2e -v -count 1 -timeout 30m ./test/e2e/ -ginkgo.label-filter olm

# Kills the agent before system calls that change a host, gives hosts faulty disks, and checks the files after that.
.PHONY: test-faults
test-faults: control-plane ## Kill the agent at a sample of its system calls and disk faults (needs root, iproute2).
	$(call kill-agents,-every 5)

.PHONY: test-faults-all
test-faults-all: control-plane ## Kill the agent at each of its system calls and disk faults (needs root, iproute2).
	$(call kill-agents)

define kill-agents
@$(MAKE) --no-print-directory build
@go build -o $(BIN)/faults ./test/faults
@go build -o $(BIN)/disks ./test/faults/disks
@exec $(BIN)/faults -agent $(BIN)/agent $(1) # exec, so that make's signals reach the program
@exec $(BIN)/disks $(1)
endef

# A count instead of a time, because a time can end in a false failure before Go 1.27 (golang/go#75804).
FUZZ_RUNS ?= 20000

# How long the sets change. The pauses in which files are compared are not included.
SOAK ?= 10m

.PHONY: soak
soak: build control-plane ## Change sets 20 times a second for SOAK, kill programs, check files (needs root, iproute2).
	@go build -o $(BIN)/soak ./test/soak
	@exec $(BIN)/soak -for $(SOAK) # exec, so that make's signals reach the program

.PHONY: fuzz
fuzz: ## Run each fuzz target FUZZ_RUNS times.
	@grep -roE '^func Fuzz[A-Za-z0-9]+' --include '*_test.go' internal | sort | while IFS=: read -r file func; do \
	  echo "$$(dirname $$file) $${func#func }"; \
	  go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZ_RUNS)x -fuzzminimizetime 10x ./$$(dirname $$file) || exit 1; \
	done

# Rows of the table in docs/explanation/performance.md, such as "text lookup" (empty for all), how often each is measured, and
# the size of the streamed layer as a Kubernetes quantity.
ROWS ?=
RUNS ?= 5
LAYER ?= 1Gi

.PHONY: bench
bench: ## Measure ROWS of the performance table, RUNS times each (some rows need root).
	@cd test/bench/harness && go build -o $(BIN)/harness .
	@exec $(BIN)/harness run -rows "$(ROWS)" -runs $(RUNS) -layer $(LAYER) -out $(BIN)/bench # exec, so that make's signals reach the program

DOCS ?= docs

.PHONY: bench-report
bench-report: ## Write the results of `make bench` into DOCS/explanation/performance.md, with plots.
	@cd test/bench/harness && go build -o $(BIN)/harness .
	@$(BIN)/harness report -from $(BIN)/bench -docs $(DOCS)

.PHONY: bench-stream
bench-stream: build $(BIN)/k8s/containerd ## Compare pulls of a LAYER through the redirector with direct pulls (needs root).
	@go build -o $(BIN)/bench-stream ./test/bench/stream
	@exec $(BIN)/bench-stream -containerd -bin $(BIN) -layer $(LAYER) -runs $(RUNS) # exec, so that make's signals reach the program

# The commit to compare with, and how many changes each of the six fleets makes. The fleets take turns.
BEFORE ?= HEAD^
CHANGES ?= 40

.PHONY: bench-change
bench-change: ARCHITECTURES := $(shell go env GOARCH)
bench-change: node image-programs build-installer ## Compare how fast 51 nodes follow a changed set with the commit BEFORE (needs root).
	rm -rf $(BIN)/before && git clone -q . $(BIN)/before && git -C $(BIN)/before checkout -q "$(BEFORE)"
	$(MAKE) -C $(BIN)/before image-programs BIN=$(BIN)/before/bin ARCHITECTURES=$(ARCHITECTURES)
	MIRRORSET_BENCH_OTHER=$(BIN)/before MIRRORSET_BENCH_CHANGES=$(CHANGES) go test -tags e2e -v -count 1 -timeout 45m ./test/e2e/ -ginkgo.focus 'the time of a change'

# The npm package that draws the recording of a terminal.
SVG_TERM := svg-term-cli@2.1.1

.PHONY: recording
recording: ARCHITECTURES := $(shell go env GOARCH)
recording: node image-programs build-installer ## Record the README's terminal as docs/images/first-pull.svg (needs root and npx).
	MIRRORSET_RECORDING=$(BIN)/first-pull.cast go test -tags e2e -count 1 ./test/e2e/ -ginkgo.focus 'recording in the README'
	npx --yes $(SVG_TERM) --in $(BIN)/first-pull.cast --out docs/images/first-pull.svg --window --no-cursor

.PHONY: lint
lint: $(GOLANGCI_LINT) $(ACTIONLINT) prose ## Run the linters, which also check imports and English.
	$(GOLANGCI_LINT) run --build-tags e2e --allow-parallel-runners
	$(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*

.PHONY: prose
prose: $(VALE) ## Check the English of documents, comments and messages.
	@go run ./hack/prose -vale $(VALE)

.PHONY: verify
verify: generate bundle ## Regenerate and tidy everything, and fail if that changes a file.
	for dir in . hack/tools hack/tools/helm-docs hack/vale test/cluster/kubernetes test/cluster/podman test/cluster/runtime test/prometheus test/helm test/olm test/openshift test/gitops test/bench/harness; do (cd $$dir && go mod tidy); done
	gofmt -l api cmd config hack internal test | (! grep .)
	! git grep -nE '^(<{7}|>{7}) '
	@if [ -n "$$(git status --porcelain)" ]; then \
	  git status --short; git --no-pager diff; \
	  echo "error: the working tree differs from the last commit (see above); commit these changes" >&2; exit 1; \
	fi

##@ Tools

$(ACTIONLINT): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ github.com/rhysd/actionlint/cmd/actionlint

$(SETUP_ENVTEST): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/controller-runtime/tools/setup-envtest

$(VALE): hack/vale/go.mod hack/vale/go.sum
	cd hack/vale && go build -trimpath -ldflags "-s -w" -o $@ github.com/vale-cli/vale/v3/cmd/vale

$(CONTROLLER_GEN): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(CRD_REF_DOCS): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ github.com/elastic/crd-ref-docs

$(KUSTOMIZE): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/kustomize/kustomize/v5

$(HELM_DOCS): hack/tools/helm-docs/go.mod hack/tools/helm-docs/go.sum
	cd hack/tools/helm-docs && go build -trimpath -o $@ github.com/norwoodj/helm-docs/cmd/helm-docs

$(HELM): test/helm/go.mod test/helm/go.sum
	cd test/helm && go build -trimpath -ldflags "-s -w" -o $@ helm.sh/helm/v4/cmd/helm

$(OLM): $(BIN)/olm/%: test/olm/go.mod test/olm/go.sum
	cd test/olm && CGO_ENABLED=0 go build -trimpath -tags "containers_image_openpgp exclude_graphdriver_btrfs json1" -ldflags "-s -w" \
	  -o $@ $(filter %/$*,$(OLM_PACKAGES))

# golangci-lint, with kube-api-linter as a plugin.
$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

# Shows the progress of a long build.
PROGRESS := awk 'NR % 250 == 0 { printf "  %d packages\n", NR; fflush() }'

# Builds one program of a cluster from the module that pins it.
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
	  { echo "error: Debian's package $(DEBIAN_PACKAGE) could not be downloaded; run apt-get update, and try again" >&2; exit 1; }
	@cd $(BIN)/debian && dpkg-deb --fsys-tarfile $(DEBIAN_PACKAGE)_*.deb | tar -x .$(@:$(BIN)/debian%=%) && rm $(DEBIAN_PACKAGE)_*.deb

.PHONY: libseccomp
libseccomp:
	@pkg-config --exists libseccomp || { echo "error: runc needs libseccomp; run apt-get install libseccomp-dev pkg-config" >&2; exit 1; }

.PHONY: clean
clean: ## Remove bin/ and dist/.
	@[ ! -d $(BIN)/envtest ] || chmod -R u+w $(BIN)/envtest # setup-envtest makes its folders read-only
	rm -rf $(BIN) dist
