// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// writes are how many requests to change objects the API server has had, answered well or not, since it was started.
type writes struct {
	Sets, Nodes int // of their status, which only Mirrorset writes
	ConfigMaps  int // with the verb APPLY, which only the manager uses for them
}

var requests = regexp.MustCompile(`^apiserver_request_total\{.*resource="([a-z]+)",.*subresource="([a-z]*)",verb="([A-Z]+)".*\} (\S+)$`)

func (f *fleet) writes(ctx context.Context) (w writes) {
	GinkgoHelper()
	metrics, err := f.Client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	counters := map[string]*int{
		"imagedigestmirrorsets/status APPLY": &w.Sets, "imagedigestmirrorsets/status PATCH": &w.Sets, "imagedigestmirrorsets/status PUT": &w.Sets,
		"mirrornodes/status APPLY": &w.Nodes, "mirrornodes/status PATCH": &w.Nodes, "mirrornodes/status PUT": &w.Nodes,
		"configmaps/ APPLY": &w.ConfigMaps,
	}
	found := false
	for line := range strings.Lines(string(metrics)) {
		match := requests.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		found = true
		if counter := counters[match[1]+"/"+match[2]+" "+match[3]]; counter != nil {
			n, err := strconv.ParseFloat(match[4], 64)
			Expect(err).NotTo(HaveOccurred())
			*counter += int(n)
		}
	}
	Expect(found).To(BeTrue(), "the API server counts in another form")
	return w
}

func (w writes) since(before writes) writes {
	return writes{Sets: w.Sets - before.Sets, Nodes: w.Nodes - before.Nodes, ConfigMaps: w.ConfigMaps - before.ConfigMaps}
}

func (w writes) report(what string) {
	AddReportEntry("writes for "+what, fmt.Sprintf("%d to the status of sets, %d to that of MirrorNodes, %d to the ConfigMap", w.Sets, w.Nodes, w.ConfigMaps), ReportEntryVisibilityAlways)
}
