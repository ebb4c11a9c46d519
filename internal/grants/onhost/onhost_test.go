// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// registry is one over TLS that wants a login and keeps what it was asked with.
func registry(t *testing.T, certificate tls.Certificate, name, password string) (host string, seen *[]string) {
	t.Helper()
	seen = &[]string{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, r.Header.Get("Authorization"))
		if gotName, gotPassword, _ := r.BasicAuth(); gotName != name || gotPassword != password {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), seen
}

// certificates returns the folder of a registry's certificates as newDockerClient of the library of CRI-O and Podman finds it: by the search
// paths of that library, and then Docker's.
func certificates(t *testing.T, root, registry string) string {
	t.Helper()
	paths, err := configfile.GetSearchPaths(&configfile.File{Name: "certs", Extension: "d", DoNotUseExtensionForConfigName: true, RootForImplicitAbsolutePaths: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(paths.DropInDirectories, filepath.Join(root, onhost.DockerDir)) {
		if _, err := os.Stat(filepath.Join(dir, registry)); err == nil {
			return filepath.Join(dir, registry)
		}
	}
	return filepath.Join(root, onhost.DockerDir, registry)
}

// ask asks a registry for tags, with the login and the certificates that the library of CRI-O and Podman finds on a host.
func ask(t *testing.T, root, repository string) error {
	t.Helper()
	registry, name, _ := strings.Cut(repository, "/")
	login, err := config.GetCredentials(&types.SystemContext{AuthFilePath: filepath.Join(root, onhost.AuthFile)}, repository)
	if err != nil {
		t.Fatal(err)
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := tlsclientconfig.SetupCertificates(certificates(t, root, registry), settings); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+registry+"/v2/"+name+"/tags/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	if login.Username != "" {
		request.SetBasicAuth(login.Username, login.Password)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func TestTheLibraryOfCRIOAndPodmanUsesBoth(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	authority, certificate := sinktest.Authority(t, time.Now().Add(time.Hour))
	mirror, _ := registry(t, certificate, "name", "hush")
	other, seenElsewhere := registry(t, certificate, "else", "hush")
	granted := sinktest.Grants(t, map[string]string{mirror: "name:hush"}, map[string]string{
		strings.Replace(mirror, ":", "..", 1): authority, strings.Replace(other, ":", "..", 1): authority,
	})
	host, root := sinktest.NewHost(t, sinktest.Files{"etc/containers/certs.d/theirs.com/ca.crt": "theirs"})
	files := onhost.At(host)
	if err := ask(t, root, mirror+"/x"); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("without the authority: %v", err)
	}
	if _, _, err := files.WriteAuthority(mirror, granted.Authority(mirror)); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, root, mirror+"/x"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with the authority alone: %v", err)
	}
	if _, err := files.WriteLogins(granted.AuthFile([]mirrors.Scope{mirrors.Scope(mirror + "/x"), mirrors.Scope(other)})); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, root, mirror+"/x"); err != nil {
		t.Error(err)
	}
	if _, _, err := files.WriteAuthority(other, granted.Authority(other)); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, root, other+"/x"); err == nil || len(*seenElsewhere) == 0 || strings.Join(*seenElsewhere, "") != "" {
		t.Errorf("another registry: error %v, and it saw %d logins", err, len(*seenElsewhere))
	}
	info, err := os.Stat(filepath.Join(root, onhost.AuthFile))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, error %v", info, err)
	}
	wantOwned(t, files, onhost.AuthFile, onhost.CertPath(mirror), onhost.CertPath(other))

	credentials, authorities, err := onhost.At(host).Read()
	if err != nil {
		t.Fatal(err)
	}
	restored, problems := grants.Read(credentials, authorities, grants.Grants{}, time.Now())
	if login, _ := restored.Login(mirrors.Scope(mirror + "/x/y")); len(problems) > 0 || login.Password != "hush" || string(restored.Authority(other)) != authority {
		t.Errorf("what was read back is not what was written: %v", problems)
	}

	if err := files.Clean(); err != nil {
		t.Fatal(err)
	}
	sinktest.WantTree(t, filepath.Join(root, "etc/containers/certs.d"), sinktest.Files{"theirs.com/ca.crt": "theirs"})
	sinktest.WantTree(t, filepath.Join(root, "var/lib/mirrorset"))
	wantOwned(t, files)
}

func wantOwned(t *testing.T, files onhost.Files, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got, err := files.Owned(); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("ours are %q, error %v, want %q", got, err, want)
	}
}

func TestSourcesAreGivenNothing(t *testing.T) {
	rule := func(source mirrors.Scope, places ...mirrors.Scope) mirrors.Rule {
		r := mirrors.Rule{Source: source}
		for _, place := range places {
			r.Mirrors = append(r.Mirrors, mirrors.Mirror{Location: place, Modes: mirrors.ByDigest})
		}
		return r
	}
	may, sources := onhost.Mirrors([]mirrors.Rule{
		rule("quay.io", "m.com/q", "quay.io", "quay.io/copy", "m.com/q", "hub.com"),
		rule("*.corp.com", "a.corp.com/x", "m.com/c"),
		rule("docker.io", "a.corp.com/hub", "m.com/d", "docker.io.com", "mid.com/hub"),
		rule("hub.com/team", "m2.com"),
		rule("mid.com", "m2.com", "m3.com"),
		rule("m3.com", "m4.com"),
	})
	if want := []mirrors.Scope{"m.com/q", "m.com/c", "m.com/d", "docker.io.com", "m2.com", "m4.com"}; !slices.Equal(may, want) {
		t.Errorf("given to %q, want %q", may, want)
	}
	if want := []mirrors.Scope{"quay.io", "quay.io/copy", "hub.com", "a.corp.com/x", "a.corp.com/hub", "mid.com/hub", "m3.com"}; !slices.Equal(sources, want) {
		t.Errorf("sources too are %q, want %q", sources, want)
	}
}

func TestAFolderThatHidesAnotherIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		have           sinktest.Files
		hidden, hiding string
	}{
		"none":               {nil, "", ""},
		"Docker's":           {sinktest.Files{"etc/docker/certs.d/m.com:5000/ca.crt": ""}, "etc/docker/certs.d/m.com:5000", ""},
		"another registry's": {sinktest.Files{"etc/docker/certs.d/m.com/ca.crt": ""}, "", ""},
		"hidden already":     {sinktest.Files{"etc/docker/certs.d/m.com:5000/ca.crt": "", "etc/containers/certs.d/m.com:5000/ca.crt": ""}, "", ""},
		"hidden by ours":     {sinktest.Files{"etc/docker/certs.d/m.com:5000/ca.crt": "", onhost.CertPath("m.com:5000"): "", onhost.CertPath("m.com:5000") + ".mirrorset-tmp": ""}, "etc/docker/certs.d/m.com:5000", ""},
		"the vendor's":       {sinktest.Files{"usr/share/containers/certs.d/m.com:5000/ca.crt": ""}, "usr/share/containers/certs.d/m.com:5000", ""},
		"root's":             {sinktest.Files{"etc/containers/certs.rootful.d/m.com:5000/": ""}, "", ""},
	} {
		host, root := sinktest.NewHost(t, nil)
		for file, content := range c.have {
			if !strings.HasSuffix(file, "/") {
				sinktest.Write(t, root, file, content)
				continue
			}
			if err := os.MkdirAll(filepath.Join(root, file), 0o755); err != nil {
				t.Fatal(err)
			}
			c.hiding = strings.TrimSuffix(file, "/")
		}
		if hidden, hiding := onhost.At(host).Hidden("m.com:5000"), onhost.At(host).Hiding("m.com:5000"); hidden != c.hidden || hiding != c.hiding {
			t.Errorf("%s: would hide %q, is hidden by %q", name, hidden, hiding)
		}
	}
}

// A library that looked elsewhere first would have these folders in vain.
func TestTheLibraryTakesTheFirstFolder(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	authority, certificate := sinktest.Authority(t, time.Now().Add(time.Hour))
	foreign, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	mirror, _ := registry(t, certificate, "", "")
	dirs := []string{"etc/containers/certs.rootful.d", onhost.CertsDir, "usr/share/containers/certs.rootful.d", "usr/share/containers/certs.d", onhost.DockerDir}
	for i, first := range dirs {
		for j, second := range dirs[i+1:] {
			_, root := sinktest.NewHost(t, sinktest.Files{first + "/" + mirror + "/ca.crt": authority, second + "/" + mirror + "/ca.crt": foreign})
			if err := ask(t, root, mirror+"/x"); err != nil && strings.Contains(err.Error(), "x509") {
				t.Errorf("%s does not count before %s: %v", first, dirs[i+1+j], err)
			}
		}
	}
}

func TestWhatIsNotOursStaysAsItIs(t *testing.T) {
	for name, theirs := range map[string]string{"a file": "m.com/" + onhost.CertFile, "no folder": "m.com"} {
		host, root := sinktest.NewHost(t, sinktest.Files{onhost.CertsDir + "/" + theirs: "theirs"})
		files := onhost.At(host)
		if _, changed, err := files.WriteAuthority("m.com", []byte("ours")); changed || !errors.Is(err, hostfile.ErrForeign) {
			t.Errorf("%s: changed %t, error %v", name, changed, err)
		}
		wantOwned(t, files)
		if err := files.Clean(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sinktest.WantTree(t, filepath.Join(root, onhost.CertsDir), sinktest.Files{theirs: "theirs"})
	}
	host, root := sinktest.NewHost(t, sinktest.Files{"elsewhere": "theirs", "folder/x": ""})
	sinktest.Symlink(t, "../../../elsewhere", root, onhost.AuthFile)
	sinktest.Symlink(t, "../../../folder", root, onhost.CertsDir+"/m.com")
	files := onhost.At(host)
	if changed, err := files.WriteLogins([]byte("{}")); changed || !errors.Is(err, hostfile.ErrForeign) {
		t.Errorf("a link: changed %t, error %v", changed, err)
	}
	if _, changed, err := files.WriteAuthority("m.com", []byte("ours")); changed || !errors.Is(err, hostfile.ErrForeign) {
		t.Errorf("a link to a folder: changed %t, error %v", changed, err)
	}
	if err := files.Clean(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{onhost.AuthFile: "../../../elsewhere", onhost.CertsDir + "/m.com": "../../../folder"} {
		if target, err := os.Readlink(filepath.Join(root, name)); err != nil || target != want {
			t.Errorf("%s leads to %q, error %v", name, target, err)
		}
	}
	if theirs, err := os.ReadFile(filepath.Join(root, "elsewhere")); err != nil || string(theirs) != "theirs" {
		t.Errorf("%q, error %v", theirs, err)
	}
	sinktest.WantTree(t, filepath.Join(root, "folder"), sinktest.Files{"x": ""})
}

func TestADamagedFileIsNotRestoredAndKeepsNothingElseBack(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	host, root := sinktest.NewHost(t, sinktest.Files{onhost.AuthFile: "{hush"})
	if _, _, err := onhost.At(host).WriteAuthority("m.com", []byte(authority)); err != nil {
		t.Fatal(err)
	}
	sinktest.Write(t, root, onhost.CertPath("n.com"), "theirs")
	credentials, authorities, err := onhost.At(host).Read()
	if credentials != nil || authorities == nil || len(authorities.Data) != 1 || err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), onhost.AuthFile) {
		t.Errorf("got %v and %v, error %v", credentials != nil, authorities, err)
	}
}

func TestDockerHubIsOneSourceByAllItsNames(t *testing.T) {
	rules := []mirrors.Rule{
		{Source: "quay.io", Mirrors: []mirrors.Mirror{{Location: "registry-1.docker.io/team"}, {Location: "index.docker.io/other"}}},
		{Source: "docker.io/team", Mirrors: []mirrors.Mirror{{Location: "m.com"}}},
	}
	if may, sources := onhost.Mirrors(rules); !slices.Equal(may, []mirrors.Scope{"index.docker.io/other", "m.com"}) || !slices.Equal(sources, []mirrors.Scope{"registry-1.docker.io/team"}) {
		t.Errorf("given to %q, and not to %q", may, sources)
	}
}

func TestOneFolderByTwoNamesHidesNothing(t *testing.T) {
	for name, link := range map[string]string{"of all registries": "etc/docker/certs.d", "of one": "etc/docker/certs.d/m.com"} {
		host, root := sinktest.NewHost(t, sinktest.Files{onhost.CertPath("m.com"): ""})
		sinktest.Symlink(t, "/"+strings.Replace(link, "docker", "containers", 1), root, link)
		if hidden := onhost.At(host).Hidden("m.com"); hidden != "" {
			t.Errorf("%s: %s is hidden", name, hidden)
		}
	}
}
