// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

// startRaw starts a mirror that answers each request with any bytes it likes, and then closes the connection. It serves TLS or plain HTTP.
func startRaw(t *testing.T, plain bool, answer func(w io.Writer)) (host string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host = listener.Addr().String()
	if !plain {
		certificate := startRegistry(t, false, has).TLS.Certificates
		listener = tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificate})
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(t.Context(), func() { _ = c.Close() }) // a connection that is not used is kept
			serving.Go(func() {
				defer func() { _ = c.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil { // TLS at one over plain HTTP is none
					answer(c)
				}
			})
		}
	})
	return host
}

// forEver repeats a text until the reader stops.
func forEver(w io.Writer, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // memory takes it all
	_ = w.Close()
	return b.String()
}

var bomb = gzipped(strings.Repeat(" ", 64<<20))

const head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"

// hostile are the ways in which a mirror can answer with bytes of its own.
var hostile = map[string]func(w io.Writer){
	"says nothing":            func(io.Writer) {},
	"speaks no HTTP":          func(w io.Writer) { _, _ = io.WriteString(w, "SSH-2.0-OpenSSH\r\n\r\n") },
	"claims more than it has": func(w io.Writer) { _, _ = fmt.Fprintf(w, head+"Content-Length: 1000\r\n\r\n%s", manifest) },
	"claims less than it has": func(w io.Writer) { _, _ = fmt.Fprintf(w, head+"Content-Length: 5\r\n\r\n%s", manifest) },
	"claims two lengths": func(w io.Writer) {
		_, _ = fmt.Fprintf(w, head+"Content-Length: 5\r\nContent-Length: 19\r\n\r\n%s", manifest)
	},
	"claims a negative length": func(w io.Writer) { _, _ = fmt.Fprintf(w, head+"Content-Length: -1\r\n\r\n%s", manifest) },
	"claims a monstrous length": func(w io.Writer) {
		_, _ = fmt.Fprintf(w, head+"Content-Length: 9223372036854775807\r\n\r\n%s", manifest)
	},
	"never ends": func(w io.Writer) { _, _ = io.WriteString(w, head+"\r\n"); forEver(w, strings.Repeat(" ", 1<<16), 0) },
	"never ends its chunks": func(w io.Writer) {
		_, _ = io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\n")
		forEver(w, "1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 0)
	},
	"trickles":             func(w io.Writer) { _, _ = io.WriteString(w, head+"\r\n"); forEver(w, " ", 20*time.Millisecond) },
	"trickles its headers": func(w io.Writer) { _, _ = io.WriteString(w, head); forEver(w, "X-A: b\r\n", 20*time.Millisecond) },
	"has headers without end": func(w io.Writer) {
		_, _ = io.WriteString(w, head)
		forEver(w, "X-A: "+strings.Repeat("b", 1<<10)+"\r\n", 0)
	},
	"has a header without end": func(w io.Writer) { _, _ = io.WriteString(w, head+"X-A: "); forEver(w, strings.Repeat("b", 1<<16), 0) },
	"has a megabyte of headers": func(w io.Writer) {
		_, _ = fmt.Fprintf(w, head+"%sContent-Length: %d\r\n\r\n%s", strings.Repeat("X-A: "+strings.Repeat("b", 1<<10)+"\r\n", 1<<10), len(manifest), manifest)
	},
	"has a status line without end": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 200 ")
		forEver(w, strings.Repeat("b", 1<<16), 0)
	},
	"has early hints without end":  func(w io.Writer) { forEver(w, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0) },
	"says to continue without end": func(w io.Writer) { forEver(w, "HTTP/1.1 100 Continue\r\n\r\n", 0) },
	"switches protocols": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"+manifest)
	},
	"breaks its chunks": func(w io.Writer) {
		_, _ = io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n"+manifest+"\r\n0\r\n\r\n")
	},
	"has a chunk of monstrous size": func(w io.Writer) {
		_, _ = io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"+manifest)
	},
	"has trailers without end": func(w io.Writer) {
		_, _ = io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n")
		forEver(w, "X-A: b\r\n", 0)
	},
	"has packed content unasked": func(w io.Writer) {
		_, _ = io.WriteString(w, head+"Content-Encoding: gzip\r\n\r\n"+gzipped(manifest+" "))
	},
	"has a bomb":               func(w io.Writer) { _, _ = io.WriteString(w, head+"Content-Encoding: gzip\r\n\r\n"+bomb) },
	"is broken in its packing": func(w io.Writer) { _, _ = io.WriteString(w, head+"Content-Encoding: gzip\r\n\r\nnot packed") },
	"breaks lines in a header": func(w io.Writer) {
		_, _ = io.WriteString(w, head+"Docker-Content-Digest: a\rLocation: http://evil.example\r\n\r\n"+manifest+" ")
	},
	"challenges without end": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"")
		forEver(w, strings.Repeat("b", 1<<16), 0)
	},
	"refuses at length": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 403 Forbidden\r\n\r\n")
		forEver(w, strings.Repeat("b", 1<<16), 0)
	},
	"sends on to a file": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 307 Temporary Redirect\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")
	},
	"sends on by another protocol": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 307 Temporary Redirect\r\nLocation: gopher://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n")
	},
	"sends on to nowhere": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://\r\nContent-Length: 0\r\n\r\n")
	},
	"sends on to no URL": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n")
	},
	"sends on without saying where": func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\r\n")
	},
}

// TestAHostileMirrorGetsNothingIntoANodeAndHoldsUpNoOther sends requests to a listening redirector, as the runtime does, with a mirror that is
// streamed and with a mirror that is not.
func TestAHostileMirrorGetsNothingIntoANodeAndHoldsUpNoOther(t *testing.T) {
	const key = route.Key("now")
	for name, answers := range hostile {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, streamed %t", name, streamed), func(t *testing.T) {
				host := startRaw(t, streamed, answers)
				s := New(wired(Config{Port: freePort(t), Keys: func() []route.Key { return []route.Key{key} }, Log: logr.Discard()}))
				s.scout.deadline = time.Second
				insecure := []string{"insecure.example"}
				if streamed {
					insecure[0] = host
				}
				setRules(t, s, "a: s.com/x -> "+host+"/m", insecure...)
				listenFor(t, s)
				path := func(e route.Entry, repository string) string {
					return key.Path("s.com", e) + "/" + repository + "/manifests/" + manifestDigest + "?ns=s.com"
				}
				for i := range 4 { // each asks for an image of its own
					loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path("0", fmt.Sprint("x/", i))))
				}
				asked := loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path("0", "x/app")))
				if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path(route.Source, "y/app")))); status != http.StatusTemporaryRedirect {
					t.Errorf("an honest pull meanwhile: status %d, error %v", status, err)
				}
				status, err := loopbacktest.Answer(t, asked)
				toSee := !streamed && status == http.StatusTemporaryRedirect // containerd sees for itself, at that very mirror
				if status != http.StatusNotFound && !toSee {
					t.Errorf("status %d, error %v", status, err)
				}
			})
		}
	}
}

func TestALayerOfAMirrorThatLiesAboutItsLengthIsNeverWhole(t *testing.T) {
	for _, name := range []string{"claims more than it has", "breaks its chunks", "has a chunk of monstrous size", "claims a monstrous length"} {
		host := startRaw(t, true, hostile[name])
		server := serve(t, newServer(t, "a: s.com/x -> "+host+"/m", host))
		resp, err := server.Client().Get(server.URL + strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, blobs, 1))
		if err != nil {
			continue // nothing of it came
		}
		content, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK && err == nil {
			t.Errorf("%s: %q passes for a whole layer", name, content)
		}
	}
}
