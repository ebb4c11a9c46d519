// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

// attacked is a redirector that listens, with the facts that an attacker knows after reading all of its paths.
type attacked struct {
	*Server
	// open is the path of an image that comes from the source, and shut of one whose source is blocked.
	open, shut string
}

func startAttacked(t *testing.T) attacked {
	t.Helper()
	const key = route.Key("now")
	s := listening(t, key, "a: s.com/x -> (none)\nb: s.com/y -> never.invalid [Never]")
	path := func(repository string) string {
		return key.Path("s.com", route.Source) + "/" + repository + "/app/manifests/" + manifestDigest + "?ns=s.com"
	}
	return attacked{s, path("x"), path("y")}
}

// expectPull requires an answer to an honest pull.
func (a attacked) expectPull(t *testing.T, meanwhile string) {
	t.Helper()
	if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, a.Address(), loopbacktest.Get(a.open))); status != http.StatusTemporaryRedirect {
		t.Errorf("%s: an honest pull got status %d, error %v", meanwhile, status, err)
	}
}

// reply is an answer's status, and where it leads.
type reply struct {
	status int
	to     string
}

// answers returns all answers to a text, until the redirector closes the connection.
func (a attacked) answers(t *testing.T, text string) (all []reply) {
	t.Helper()
	c := loopbacktest.Dial(t, a.Address(), text)
	if err := c.SetReadDeadline(time.Now().Add(time.Minute / 2)); err != nil { // so that the test ends
		t.Fatal(err)
	}
	for from := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(from, nil)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return all
		}
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err != nil {
			t.Errorf("%.80q: %v", text, err)
			return all
		}
		all = append(all, reply{resp.StatusCode, resp.Header.Get("Location")})
	}
}

func TestNoRequestLeadsAnywhereButToTheRulesPlaces(t *testing.T) {
	a := startAttacked(t)
	evil := startRegistry(t, true, has)
	const end = "Connection: close\r\n\r\n"
	in := func(path, old, with string) string {
		return "GET " + strings.Replace(path, old, with, 1) + " HTTP/1.1\r\nHost: x\r\n" + end
	}
	for name, c := range map[string]struct {
		text string
		want []int // of the answers; none where it is not worth one
	}{
		"an absolute URL":                      {"GET http://" + evil.host + a.open + " HTTP/1.1\r\nHost: x\r\n" + end, []int{307}},
		"an absolute URL of what is shut":      {"GET http://" + evil.host + a.shut + " HTTP/1.1\r\nHost: x\r\n" + end, []int{403}},
		"an absolute URL of another server":    {"GET http://" + evil.host + "/v2/ HTTP/1.1\r\nHost: " + evil.host + "\r\n" + end, []int{404}},
		"a URL without a scheme":               {"GET //" + evil.host + a.open + " HTTP/1.1\r\nHost: x\r\n" + end, []int{404}},
		"a URL of a file":                      {"GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n" + end, []int{404}},
		"a tunnel":                             {"CONNECT " + evil.host + " HTTP/1.1\r\nHost: " + evil.host + "\r\n" + end, []int{405}},
		"options of all":                       {"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + end, []int{405}},
		"a host of somebody else's":            {"GET " + a.open + " HTTP/1.1\r\nHost: " + evil.host + "\r\nX-Forwarded-Host: " + evil.host + "\r\nForwarded: host=" + evil.host + "\r\n" + end, []int{307}},
		"a host with a login":                  {"GET " + a.open + " HTTP/1.1\r\nHost: ann:p@" + evil.host + "\r\n" + end, []int{400}},
		"two hosts":                            {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nHost: " + evil.host + "\r\n" + end, []int{400}},
		"no host":                              {"GET " + a.open + " HTTP/1.1\r\n" + end, []int{400}},
		"another path in a header":             {"GET " + a.shut + " HTTP/1.1\r\nHost: x\r\nX-Original-URL: " + a.open + "\r\nX-Rewrite-URL: " + a.open + "\r\n" + end, []int{403}},
		"another method in a header":           {"DELETE " + a.open + " HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: GET\r\n" + end, []int{405}},
		"two lengths":                          {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n" + end, []int{400}},
		"a length with a sign":                 {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n" + end, []int{400}},
		"a length and chunks":                  {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + loopbacktest.Get(a.shut), []int{400}},
		"chunks in capitals behind a space":    {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n" + end, []int{400}},
		"chunks of another coding":             {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n" + end, []int{501}},
		"a request in a body":                  {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n" + loopbacktest.Get(a.shut), []int{400}},
		"a body that is announced":             {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", []int{400}},
		"a folded header":                      {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n" + end, []int{307}},
		"a NUL in a header":                    {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n" + end, []int{400}},
		"a NUL in the path":                    {in(a.open, "/x/", "/x\x00/"), []int{400}},
		"a bare CR in a header":                {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nX-A: b\rContent-Length: 5\r\n" + end, []int{400}},
		"a header without a name":              {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\n: b\r\n" + end, []int{400}},
		"a version that is none":               {"GET " + a.open + " HTTP/9.9\r\nHost: x\r\n" + end, []int{505}},
		"HTTP/2 by an upgrade":                 {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n", []int{307}},
		"headers without end":                  {"GET " + a.open + " HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 100) + end, []int{431}},
		"two requests at once":                 {loopbacktest.Get(a.open) + strings.Replace(loopbacktest.Get(a.shut), "\r\n\r\n", "\r\n"+end, 1), []int{307, 403}},
		"a way up":                             {in(a.shut, "/y/", "/x/../y/"), []int{404}},
		"a way up in other letters":            {in(a.shut, "/y/", "/x/%2e%2e/y/"), []int{404}},
		"a way up behind escaped slashes":      {in(a.shut, "/y/", "/x%2f..%2fy/"), []int{404}},
		"a way up, escaped twice":              {in(a.shut, "/y/", "/x/%252e%252e/y/"), []int{404}},
		"a way up with backslashes":            {in(a.shut, "/y/", `/x\..\y/`), []int{404}},
		"a way out of the root":                {in(a.open, "/v2/", "/../../v2/"), []int{404}},
		"a name in full-width letters":         {in(a.shut, "/y/", "/%EF%BD%99/"), []int{404}},
		"a name in capitals":                   {in(a.shut, "/y/", "/Y/"), []int{404}},
		"a name with an escaped letter":        {in(a.shut, "/y/", "/%79/"), []int{404}},
		"a dot at the end of the name":         {in(a.shut, "/y/", "/y./"), []int{404}},
		"a parameter in the path":              {in(a.shut, "/y/", "/y;x/"), []int{404}},
		"two registries, the first open":       {in(a.shut, "?ns=s.com", "?ns=s.com&ns="+evil.host), []int{403}},
		"two registries, the first another":    {in(a.open, "?ns=s.com", "?ns="+evil.host+"&ns=s.com"), []int{404}},
		"a registry with a login":              {in(a.open, "?ns=s.com", "?ns=s.com%40"+evil.host), []int{404}},
		"a registry with a path":               {in(a.open, "?ns=s.com", "?ns=s.com%2F..%2F"+evil.host), []int{404}},
		"a registry with a line break":         {in(a.open, "?ns=s.com", "?ns=s.com%0d%0aLocation:%20http://"+evil.host), []int{404}},
		"a registry with a NUL":                {in(a.open, "?ns=s.com", "?ns=s.com%00"), []int{404}},
		"a registry in capitals":               {in(a.shut, "?ns=s.com", "?ns=S.COM"), []int{404}},
		"a registry with a dot":                {in(a.shut, "?ns=s.com", "?ns=s.com."), []int{404}},
		"a registry with a port":               {in(a.shut, "?ns=s.com", "?ns=s.com:443"), []int{404}},
		"the cloud's metadata as a registry":   {in(a.open, "?ns=s.com", "?ns=169.254.169.254"), []int{404}},
		"a registry in a separator of its own": {in(a.shut, "?ns=s.com", "?x=1;ns="+evil.host), []int{404}},
	} {
		got := []int{}
		for _, l := range a.answers(t, c.text) {
			got = append(got, l.status)
			if want := map[bool]string{true: "https://s.com/v2/x/app/manifests/" + manifestDigest}[l.status == http.StatusTemporaryRedirect]; l.to != want {
				t.Errorf("%s: %d leads to %q", name, l.status, l.to)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		a.expectPull(t, name)
	}
	if n := len(evil.requests()); n != 0 {
		t.Errorf("the attacker's server was asked %d times", n)
	}
}

func TestASlowClientHoldsUpNobodyAndIsGivenUp(t *testing.T) {
	a := startAttacked(t)
	slow := map[string]string{
		"says nothing":                     "",
		"sends a part of a line":           "GET ",
		"sends headers and no end":         "GET " + a.open + " HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"sends a request and half another": loopbacktest.Get(a.open) + "GET " + a.open[:20],
	}
	held := make(map[string][]net.Conn)
	for name, text := range slow {
		for range 100 {
			held[name] = append(held[name], loopbacktest.Dial(t, a.Address(), text))
		}
	}
	ends, ended := make(chan struct{}), make(chan struct{})
	go func() { // each sends a byte from time to time, as slow attackers do
		defer close(ended)
		for {
			for _, c := range held["sends headers and no end"] {
				_, _ = io.WriteString(c, "a") // it may be closed by now
			}
			select {
			case <-ends:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	for name := range slow {
		a.expectPull(t, name)
	}
	for name, all := range held {
		for _, c := range all {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("one that %s keeps its connection", name)
			}
		}
	}
	close(ends)
	<-ended
}

func TestAClientThatReadsNoneOfItsStreamIsGivenUp(t *testing.T) {
	given := make(chan struct{})
	mirror := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/"+blobs+"/") {
			for part := make([]byte, 1<<20); ; { // without end, as sockets' buffers can hold much
				if _, err := w.Write(part); err != nil {
					close(given)
					return
				}
			}
		}
		has(w, r)
	})
	const key = route.Key("now")
	s := New(wired(Config{Port: freePort(t), Keys: func() []route.Key { return []route.Key{key} }, Log: logr.Discard()}))
	s.relay.stalled = 200 * time.Millisecond
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	listenFor(t, s)
	path := key.Path("s.com", "0") + "/x/app/"
	c := loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path+blobs+"/"+manifestDigest+"?ns=s.com"))
	if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path+manifests+"/"+manifestDigest+"?ns=s.com"))); status != http.StatusOK {
		t.Errorf("an honest pull meanwhile: status %d, error %v", status, err)
	}
	select {
	case <-given:
	case <-time.After(time.Minute / 2): // so that the test ends
		t.Error("the mirror still sends a layer to nobody")
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute / 2)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after %d bytes, the client keeps its connection", n)
	}
}
