// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"regexp"
	"slices"
	"strconv"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// involved are the resources, and the kinds of what is watched, that a change has to do with.
var involved = []string{
	"imagedigestmirrorsets", "imagetagmirrorsets", "mirrornodes", "configmaps", "secrets", "customresourcedefinitions", "controllerrevisions", "events",
}

// sample is a line of the API server's metrics, and label one of its labels.
var (
	sample = regexp.MustCompile(`(?m)^(apiserver_request_total|apiserver_response_sizes_sum|apiserver_watch_events_sizes_sum)\{(.*)\} (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// answeredBy returns what the API server has answered so far about what is involved, by the units of what that is for each change.
func answeredBy(b *testing.B, api *rest.Config) map[string]float64 {
	b.Helper()
	clients, err := kubernetes.NewForConfig(api)
	must(b, err)
	metrics, err := clients.RESTClient().Get().AbsPath("/metrics").DoRaw(b.Context())
	must(b, err)
	answered := map[string]float64{}
	for _, match := range sample.FindAllStringSubmatch(string(metrics), -1) {
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(match[2], -1) {
			labels[l[1]] = l[2]
		}
		value, err := strconv.ParseFloat(match[3], 64)
		must(b, err)
		switch verb := labels["verb"]; {
		case !slices.Contains(involved, labels["resource"]) || verb == "WATCH":
		case match[1] != "apiserver_request_total":
			answered["B/change"] += value
		default:
			answered["requests/change"] += value
			if !slices.Contains([]string{"GET", "LIST"}, verb) {
				answered["writes/change"] += value
			}
		}
	}
	return answered
}
