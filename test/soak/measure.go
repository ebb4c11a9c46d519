// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

// scraper is the account that comes for metrics.
const scraper = "soak"

// figures are what is measured of a program, at one time.
var figures = []string{"memory/MB", "goroutines", "descriptors"}

// series are the measurements of a figure of a program, each with the quarter it is of, 1 to 4.
type series struct {
	name, figure string
	values       [5][]float64 // by quarter
}

// meter measures programs.
type meter struct {
	token  string
	series []*series
}

func newMeter(ctx context.Context, m *machine) (*meter, error) {
	request := &authenticationv1.TokenRequest{}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: scraper}}
	err := m.api.SubResource("token").Create(ctx, account, request)
	return &meter{token: request.Status.Token}, err
}

// measure takes one measurement of each program. What a program cannot tell, as while the API server is away, is left out.
func (t *meter) measure(ctx context.Context, programs []*program, quarter int) {
	for _, p := range programs {
		pid := p.process.PID()
		t.add(p, "memory/MB", quarter, residentMB(pid))
		t.add(p, "descriptors", quarter, float64(descriptors(pid)))
		if n, err := t.goroutines(ctx, p.metrics); err == nil {
			t.add(p, "goroutines", quarter, n)
		}
	}
}

func (t *meter) add(p *program, figure string, quarter int, value float64) {
	at := slices.IndexFunc(t.series, func(s *series) bool { return s.name == p.name && s.figure == figure })
	if at < 0 {
		at = len(t.series)
		t.series = append(t.series, &series{name: p.name, figure: figure})
	}
	if value > 0 {
		t.series[at].values[quarter] = append(t.series[at].values[quarter], value)
	}
}

var resident = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// residentMB returns 0 for a process that has ended.
func residentMB(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if found := resident.FindSubmatch(status); found != nil {
		kB, _ := strconv.ParseFloat(string(found[1]), 64)
		return kB / 1024
	}
	return 0
}

func descriptors(pid int) int {
	open, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(open)
}

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

func (t *meter) goroutines(ctx context.Context, address string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+t.token)
	scrape := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, // as config/prometheus does
	}}
	answer, err := scrape.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	found := goroutinesLine.FindSubmatch(text)
	if err != nil || found == nil {
		return 0, errors.Join(err, errors.New(answer.Status))
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// grows reports whether a program has more of something in the last quarter than in the second. It allows for garbage that is not collected yet,
// for connections that are not closed yet, and for the manager's events, which client-go remembers for 6 to 12 minutes each.
func (s *series) grows() bool {
	spare := map[string]float64{"memory/MB": 16, "goroutines": 20, "descriptors": 10}[s.figure]
	return median(s.values[4]) > 1.25*median(s.values[2])+spare
}

// print prints the table, with a chart of all measurements in each line, and returns an error for what grows, but in the programs that were
// killed all the time.
func (t *meter) print(killed []string) error {
	var failed []error
	fmt.Printf("\n%-9s %-12s %6s %6s %6s %6s %6s\n", "program", "figure", "1st", "2nd", "3rd", "4th", "most")
	for _, figure := range figures {
		for _, s := range t.series {
			if s.figure != figure {
				continue
			}
			all := slices.Concat(s.values[:]...)
			fmt.Printf("%-9s %-12s", s.name, figure)
			for _, values := range s.values[1:] {
				fmt.Printf(" %6.0f", median(values))
			}
			fmt.Printf(" %6.0f  %s\n", slices.Max(append(all, 0)), chart(all))
			if s.grows() && !slices.Contains(killed, s.name) {
				failed = append(failed, fmt.Errorf("%s: %s grew from %.0f to %.0f", s.name, figure, median(s.values[2]), median(s.values[4])))
			}
		}
	}
	return errors.Join(failed...)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// chart draws values as bars from 0 to the highest of them, each the median of as many as come to one of its columns.
func chart(values []float64) string {
	const columns, bars = 60, "▁▂▃▄▅▆▇█"
	var drawn strings.Builder
	levels := []rune(bars)
	for column := range min(columns, len(values)) {
		width := max(1, len(values)/columns)
		at := median(values[column*width : min((column+1)*width, len(values))])
		drawn.WriteRune(levels[int(at/slices.Max(values)*float64(len(levels)-1))])
	}
	return drawn.String()
}
