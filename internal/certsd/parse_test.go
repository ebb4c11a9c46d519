// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
)

const sound = `server = "https://m.com:5000/v2/s"
capabilities = ["pull"]
override_path = true

[host."https://n.com"]
  capabilities = ["pull"]
  skip_verify = true

[host."http://n.com"]
`

func TestEndpointsAreReadInTheOrderOfTheFile(t *testing.T) {
	want := []certsd.Endpoint{
		{Scheme: "https", Host: "n.com", Path: "/v2", DigestOnly: true, SkipVerify: true},
		{Scheme: "http", Host: "n.com", Path: "/v2"},
		{Scheme: "https", Host: "m.com:5000", Path: "/v2/s", DigestOnly: true},
	}
	if got := parse(t, "s.com", []byte(sound)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestFilesThatContainerdReadsOtherwiseAreRefused has its cases in testdata/refused. Each begins with the reaction of containerd 2 to it, which
// test/cluster/runtime compares with the real containerd.
func TestFilesThatContainerdReadsOtherwiseAreRefused(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "refused", "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	for _, path := range files {
		if hosts, err := certsd.Parse("s.com", readFile(t, path)); err == nil {
			t.Errorf("%s is taken for %+v", path, hosts)
		}
	}
}

func TestSettingsThatWeDoNotWriteAreRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"everything away", sound, ""},
		{"cut behind the headings of tables", "https://n.com\"]", "https://n.com"},
		{"a capability in capitals", `["pull"]`, `["Pull"]`},
		{"one more capability", `["pull"]`, `["pull", "resolve", "push"]`},
		{"a number as a capability", `["pull"]`, `[1]`},
		{"a header", "  skip_verify = true", "  header = {x = \"y\"}"},
		{"a certificate that is no list", "  skip_verify = true", "  ca = \"ca.crt\""},
		{"no certificates", "  skip_verify = true", "  ca = []"},
		{"a certificate elsewhere", "  skip_verify = true", "  ca = [\"../ca.crt\"]"},
		{"a certificate without its key", "  skip_verify = true", "  client = [[\"x.cert\"]]"},
		{"a certificate for plain HTTP", "[host.\"http://n.com\"]", "[host.\"http://n.com\"]\n  ca = [\"ca.crt\"]"},
		{"a rank that is pushed to", "\n[host.\"http://n.com\"]", "\n[host.\"http://127.0.0.1:289/v2/_mirrorset/0\"]\noverride_path = true"},
		{"a rank that is no number", "\n[host.\"http://n.com\"]", "\n[host.\"http://127.0.0.1:289/v2/_mirrorset/+1\"]\noverride_path = true\ncapabilities = [\"pull\"]"},
		{"a source entry that only pulls", "\n[host.\"http://n.com\"]", "\n[host.\"http://127.0.0.1:289/v2/_mirrorset/source\"]\noverride_path = true\ncapabilities = [\"pull\"]"},
		{"a redirector on another machine", "\n[host.\"http://n.com\"]", "\n[host.\"http://n.com/v2/_mirrorset/0\"]\noverride_path = true\ncapabilities = [\"pull\"]"},
		{"a redirector over TLS", "\n[host.\"http://n.com\"]", "\n[host.\"https://127.0.0.1:289/v2/_mirrorset/0\"]\noverride_path = true\ncapabilities = [\"pull\"]"},
		{"a subtable", "\n[host.\"http://n.com\"]", "\n[host.\"https://n.com\".header]"},
		{"an array of tables", "[host.\"http://n.com\"]", "[[host.\"http://n.com\"]]"},
		{"a table of another name", "[host.\"http://n.com\"]", "[hosts.\"http://n.com\"]"},
		{"a table without a name", "[host.\"http://n.com\"]", "[host]"},
		{"a scheme that is none", "https://n.com", "httpss://n.com"},
		{"a host without a scheme", "https://n.com", "n.com"},
		{"a URL without a host", "https://n.com", "https://"},
		{"a user", "https://n.com", "https://u@n.com"},
		{"a query", "https://n.com", "https://n.com?x"},
		{"an escape", "https://n.com", "https://n.com%2fx"},
		{"an escape of TOML", "https://n.com", `https://n\u002ecom`},
		{"a wildcard", "https://n.com", "https://*.n.com"},
		{"a slash at the end", "https://n.com", "https://n.com/"},
		{"a path outside of the API", "/v2/s", "/v1/s"},
		{"a path that only begins like the API", "/v2/s", "/v2s"},
		{"a path that goes up", "/v2/s", "/v2/../s"},
		{"no path for override_path", "/v2/s", ""},
		{"a table by a dotted key, beside others", "\n[host.\"https://n.com\"]", "host.\"https://a.com\".skip_verify = true\n[host.\"https://n.com\"]"},
		{"a word as a flag that has no effect", "skip_verify = true", "override_path = \"true\""},
		{"a word as a flag", "override_path = true", "override_path = \"true\""},
	} {
		changed := bytes.Replace([]byte(sound), []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(changed, []byte(sound)) {
			t.Fatalf("%s: nothing is changed", c.name)
		}
		if hosts, err := certsd.Parse("s.com", changed); err == nil {
			t.Errorf("%s is taken for %+v", c.name, hosts)
		}
	}
}

func TestAFileWithoutAServerIsForTheDefaultHostOnly(t *testing.T) {
	content := []byte("[host.\"http://127.0.0.1:289/v2/_mirrorset/0\"]\n  capabilities = [\"pull\"]\n  override_path = true\n")
	hosts := parse(t, certsd.DefaultHost, content)
	if len(hosts) != 2 || !reflect.DeepEqual(hosts[1], certsd.Endpoint{}) {
		t.Errorf("got %+v", hosts)
	}
	if _, err := certsd.Parse("s.com", content); err == nil {
		t.Error("a registry's file may do without a server")
	}
	if _, err := certsd.Parse(certsd.DefaultHost, append([]byte("capabilities = [\"pull\"]\n"), content...)); err == nil {
		t.Error("settings may do without a server")
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*.out/certs.d/*/hosts.toml", "refused/*.toml"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(files) == 0 {
			f.Fatalf("found no %s, error %v", pattern, err)
		}
		for _, path := range files {
			f.Add(readFile(f, path))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, host := range []string{"s.com", certsd.DefaultHost} {
			hosts, err := certsd.Parse(host, data)
			if err != nil {
				continue
			}
			if len(hosts) < 2 {
				t.Fatalf("a file without a table is taken for %+v", hosts)
			}
			again, err := certsd.Parse(host, certsd.Render(hosts))
			if err != nil || !reflect.DeepEqual(again, hosts) {
				t.Fatalf("error %v\n got  %+v\n want %+v", err, again, hosts)
			}
		}
	})
}
