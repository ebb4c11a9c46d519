// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
)

// flat is how much more the largest case may take than the smallest where the work does not depend on the size: what is larger fits less
// well into the processor's caches.
const flat = 1.5

// fewReads is how many files of 10,000 that are as they should be a pass may read: it should look at their stamps instead.
const fewReads = 10

// nLogN is how much more one of 100,000 may take than one of 100 where all take n log n, and half as much again for caches and the
// collector of garbage.
var nLogN = 1.5 * 1000 * math.Log(100_000) / math.Log(100)

// rows is the table.
var rows = []row{
	{
		name: "text", work: "sets to rules to text, sets of 10 sources with 3 mirrors each",
		against: "OpenShift's merge (runtime-utils) with BurntSushi's encoder, and that encoder alone on the same configuration",
		folder:  "test/openshift", command: `go test -run '^$' -bench '^BenchmarkText$' -timeout 30m .`,
		goals: slices.Concat(
			compare(faster, 5, "ns/op", "Text", "openshift", "/sources=100"),
			compare(faster, 10, "ns/op", "Text", "openshift", "/sources=1000"),
			compare(faster, 30, "ns/op", "Text", "openshift", "/sources=10000"),
			compare(faster, 5, "ns/op", "Text", "burntsushi", "/sources=100", "/sources=1000", "/sources=10000"),
			[]goal{{growing, "Text/sources=100000" + ours, "Text/sources=100" + ours, "ns/op", nLogN}},
		),
	},
	{
		name: "lookup", work: "a lookup among 100 to 100,000 rules", against: "`sysregistriesv2.FindRegistry` with a warm cache",
		folder: ".", command: `go test -run '^$' -bench '^BenchmarkLookup$' -benchmem ./internal/mirrors`,
		goals: slices.Concat(
			compare(faster, 1, "ns/op", "Lookup", "sysregistriesv2", "/rules=100", "/rules=100000"),
			limit(0, "allocs/op", "Lookup/rules=100"+ours, "Lookup/rules=1000"+ours, "Lookup/rules=10000"+ours, "Lookup/rules=100000"+ours),
			[]goal{{growing, "Lookup/rules=100000" + ours, "Lookup/rules=100" + ours, "ns/op", flat}},
		),
	},
	{
		name: "pass", work: "an agent's pass over 10,000 sources, on one registry and on as many",
		against: "encode and one fsynced rename; 10,000 fsynced files with the parallelism of the disk",
		folder:  ".", command: `go test -run '^$' -bench '^Benchmark(Pass|UnchangedPass)$' -timeout 30m ./internal/agent`,
		goals: slices.Concat(
			compare(within, 3, "ns/op", "Pass", "floor", "/registries=one"),
			compare(within, 1.5, "ns/op", "Pass", "floor", "/registries=each"),
			limit(fewReads, "reads/op", "UnchangedPass/registries=one", "UnchangedPass/registries=each"),
		),
	},
	{
		name: "change", work: "a set changed, file replaced, one agent",
		against: "two API writes, two watch events and one fsynced rename of the same sizes",
		needs:   []string{"build", "control-plane"},
		folder:  ".", command: `go test -run '^$' -bench '^BenchmarkChange$' -timeout 30m ./test/integration`,
		goals: slices.Concat(compare(within, 1.5, "p50-ms", "Change", "floor", ""), compare(within, 3, "p99-ms", "Change", "floor", "")),
	},
	{
		name: "mounted", work: "a set changed, file replaced, on a real node", against: "the same text through a mounted ConfigMap volume there",
		needs: []string{"node", "image-programs", "build-installer"}, root: true,
		folder: ".", command: `go test -tags e2e -v -count 1 -timeout 60m ./test/e2e/ -ginkgo.label-filter mounted`,
		goals: compare(faster, 100, "p50-ms", "Mounted", "volume", ""),
	},
	{
		name: "burst", work: "1,000 sets created as fast as the API server takes them", against: "the last of these writes",
		needs:  []string{"build", "control-plane"},
		folder: ".", command: `go test -run '^$' -bench '^BenchmarkBurst$' -timeout 30m ./test/integration`,
		goals: slices.Concat(limit(1000, "last-ms", "Burst"), limit(10, "publications", "Burst")),
	},
	{
		name: "fleet", work: "one change to the watches of 10, 100 and 1,000 agents on one API server, until the set says Applied",
		against: "the same watches and as many status writes without our code",
		needs:   []string{"build", "control-plane"},
		folder:  ".", command: `go test -run '^$' -bench '^BenchmarkFleet$' -timeout 60m ./test/integration`,
		goals: compare(within, 1.5, "p99-ms", "Fleet", "floor", "/agents=10", "/agents=100", "/agents=1000"),
	},
	{
		name: "redirect", work: "a request to the redirector, redirected, and with the mirror asked first",
		against: "a bare `net/http` server that answers a constant 307; a bare reverse proxy",
		folder:  ".", command: `go test -run '^$' -bench '^Benchmark(Redirect|Ask)$' ./internal/redirect`,
		goals: slices.Concat(
			compare(within, 1.3, "ns/op", "Redirect", "bare", "/rules=10", "/rules=10000"),
			[]goal{{growing, "Redirect/rules=10000" + ours, "Redirect/rules=10" + ours, "ns/op", flat}},
			compare(within, 1.3, "ns/op", "Ask", "proxy", ""),
		),
	},
	{
		name: "stream", work: "a layer, of the size in its command, that the redirector streams, plain and over TLS", against: "a direct pull",
		needs: []string{"build"}, root: true,
		folder: ".", command: `go build -o bin/bench-stream ./test/bench/stream && bin/bench-stream -bin bin -layer {layer} -runs {runs}`,
		goals: compare(rate, 0.8, "MB/s", "Stream", "direct", "/tls=false", "/tls=true"),
	},
	{
		name: "rest", work: "the agent at rest with 5 and 1,000 sources, and the manager with 10,000 sets",
		against: "a bare client-go watch of one ConfigMap; the informer cache alone",
		needs:   []string{"build", "control-plane"},
		folder:  ".", command: `go build -o bin/bench-rest ./test/bench/rest && bin/bench-rest -runs {runs}`,
		goals: slices.Concat(
			compare(within, 1.5, "rss-MB", "AtRest", "floor", atRest...),
			limit(0.1, "cpu-%", "AtRest"+atRest[0]+ours, "AtRest"+atRest[1]+ours, "AtRest"+atRest[2]+ours),
		),
	},
	{
		name: "plugin", work: "`explain` and `render` over 1 and 1,000 sets", against: "reading and decoding the same YAML alone",
		needs:  []string{"build"},
		folder: ".", command: `go test -run '^$' -bench '^BenchmarkPlugin$' ./test/bench`,
		goals: slices.Concat(
			compare(within, 1.5, "ns/op", "Plugin", "decode", "/command=explain/sets=1000", "/command=render/sets=1000"),
			limit(50e6, "ns/op", "Plugin/command=explain/sets=1"+ours, "Plugin/command=render/sets=1"+ours),
		),
	},
	{
		name: "size", work: "sizes of the programs", against: "two thirds of 34, 55 and 33 MB",
		needs:  []string{"build"},
		folder: ".", command: `go test -run '^$' -bench '^BenchmarkSize$' -benchtime 1x ./test/bench`,
		goals: slices.Concat(
			limit(34*2./3, "size-MB", "Size/program=agent"), limit(55*2./3, "size-MB", "Size/program=manager"),
			limit(33*2./3, "size-MB", "Size/program=kubectl-mirrors"),
		),
	},
}

var atRest = []string{"/program=agent/sources=5", "/program=agent/sources=1000", "/program=manager/sets=10000"}
