// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

// processor returns the processor time that this process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkPulls measures the processor time of a minute with a thousand pulls of five requests. It reports all of it, with containerd's side and a
// mirror's in the same process, and the share of the access log and the account of tries.
func BenchmarkPulls(b *testing.B) {
	const pulls, requests = 1000, 5
	mirror := startRegistry(b, false, has)
	s := newServer(b, fmt.Sprintf("D a: s.com/x -> %s/m\nT a: s.com/x -> %s/m", mirror.host, mirror.host))
	server := httptest.NewServer(s)
	defer server.Close()
	runtime := client(b)
	var blob [requests - 2]string
	for i := range blob {
		blob[i] = "sha256:" + strings.Repeat(fmt.Sprint(i), 64)
	}
	all := func(pull int) {
		repository := fmt.Sprint("x/", pull)
		ask := func(method, path string) {
			req, err := http.NewRequest(method, server.URL+path, nil)
			if err != nil {
				b.Fatal(err)
			}
			resp, err := runtime.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			if _ = resp.Body.Close(); resp.StatusCode != http.StatusTemporaryRedirect {
				b.Fatalf("%s: got %d", path, resp.StatusCode)
			}
		}
		ask(http.MethodHead, pathTo("0", "s.com", repository, "1"))
		ask(http.MethodGet, pathTo("0", "s.com", repository, manifestDigest))
		for _, object := range blob {
			ask(http.MethodGet, blobAt(pathTo("0", "s.com", repository, object)))
		}
	}
	memory := tries.New(accesslog.New(), func(tries.Try) {})
	record := func(pull int) {
		repository := fmt.Sprint("s.com/x/", pull)
		for i := range requests {
			r := tries.Request{At: time.Now(), Method: http.MethodGet, Kind: blobs, Repository: repository, Object: manifestDigest, Resolves: i == 0, Entry: route.Rank(0)}
			t := tries.Try{Mirror: "m.com", Repository: "m.com/m", Outcome: accesslog.Served, At: r.At}
			if i%2 == 0 { // as of a mirror that wants credentials, which costs more
				t.Outcome = accesslog.Credentials
				memory.Begin(r).Sent(t)
			} else {
				memory.Begin(r).Tried(t)
			}
		}
	}
	for _, c := range []struct {
		name string
		pull func(int)
	}{{"all", all}, {"record", record}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before, n := processor(b), 0
			for b.Loop() {
				for range pulls {
					n++
					c.pull(n)
				}
			}
			b.ReportMetric(float64((processor(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/1000-pulls")
		})
	}
}
