// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// Paths below a host's root.
const (
	dropIns  = "etc/containers/registries.conf.d"
	dropIn   = dropIns + "/50-mirrorset.conf"
	certsDir = "etc/containerd/certs.d"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// image returns an image of a repository.
func image(repository, mode string) string {
	if mode == byTag {
		return repository + ":1"
	}
	return repository + "@" + digest
}

// byLibrary are the places that the library of CRI-O and Podman derives from the files of a host. Each whose own registry is blocked is refused.
func byLibrary(root, repository, mode string) (places []string, err error) {
	base := filepath.Join(enclosure.Memory, "registries.conf") // which a host may be without, and the library here not
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		return nil, err
	}
	sysregistriesv2.InvalidateCache()
	files := &types.SystemContext{SystemRegistriesConfPath: base, SystemRegistriesConfDirPath: filepath.Join(root, dropIns)}
	named, err := reference.ParseNamed(image(repository, mode))
	if err != nil {
		return nil, err
	}
	registry, err := sysregistriesv2.FindRegistry(files, named.Name())
	if err != nil || registry == nil {
		return []string{repository}, err
	}
	pulls, err := registry.PullSourcesFromReference(named)
	if err != nil {
		return nil, err
	}
	for _, source := range pulls {
		by, err := sysregistriesv2.FindRegistry(files, source.Reference.Name())
		if err != nil {
			return nil, err
		}
		if by == nil || !by.Blocked {
			places = append(places, source.Reference.Name())
		}
	}
	return places, nil
}

// hostsFile is what containerd reads of a hosts.toml that is ours.
type hostsFile struct {
	Server string `toml:"server"`
	endpoint
	Host map[string]endpoint `toml:"host"`

	order []string // of the tables
}

type endpoint struct {
	Capabilities []string `toml:"capabilities"`
	OverridePath bool     `toml:"override_path"`

	url string
}

var hostTable = regexp.MustCompile(`(?m)^\[host\."(.*)"\]$`)

func parseHosts(text []byte) (f hostsFile, err error) {
	if err := toml.Unmarshal(text, &f); err != nil {
		return f, err
	}
	for _, table := range hostTable.FindAllSubmatch(text, -1) {
		f.order = append(f.order, string(table[1]))
	}
	if len(f.order) != len(f.Host) {
		return f, fmt.Errorf("%d tables, of which %d are seen in order", len(f.Host), len(f.order))
	}
	return f, nil
}

// endpoints are all that containerd tries, in order.
func (f *hostsFile) endpoints() (all []endpoint) {
	for _, table := range f.order {
		e := f.Host[table]
		e.url = table
		all = append(all, e)
	}
	last := f.endpoint
	last.url = f.Server
	return append(all, last)
}

// byContainerd are the places that containerd tries by the files of a host and the answers of its redirector.
func byContainerd(ctx context.Context, root, repository, mode string) (places []string, err error) {
	registry, path, _ := strings.Cut(repository, "/")
	var f hostsFile
	for _, folder := range []string{registry, "_default"} {
		text, err := os.ReadFile(filepath.Join(root, certsDir, folder, "hosts.toml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if f, err = parseHosts(text); err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
		break
	}
	if f.Server == "" {
		f.Server = "https://" + registry
	}
	led, refused := false, false // by the redirector
	for _, e := range f.endpoints() {
		if !e.can(mode) {
			continue
		}
		place, isRefused, err := e.place(ctx, registry, path, mode)
		if err != nil {
			return nil, err
		}
		refused = refused || isRefused
		led = led || e.isRedirector()
		// The entries after those of the redirector lead to the same places as these.
		if place == "" || len(places) > 0 && places[len(places)-1] == place || led && !e.isRedirector() && slices.Contains(places, place) {
			continue
		}
		if refused {
			place += " after it was refused"
		}
		places = append(places, place)
	}
	return places, nil
}

// can reports whether containerd contacts the endpoint. For a tag, containerd needs to resolve and to pull.
func (e endpoint) can(mode string) bool {
	return len(e.Capabilities) == 0 || slices.Contains(e.Capabilities, "pull") && (mode == byDigest || slices.Contains(e.Capabilities, "resolve"))
}

func (e endpoint) isRedirector() bool { return strings.HasPrefix(e.url, "http://127.0.0.1:") }

// stay has redirects shown and not followed.
var stay = &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// place is where one entry leads containerd to. It is "" if containerd continues with the next entry.
func (e endpoint) place(ctx context.Context, registry, path, mode string) (place string, refused bool, err error) {
	at := e.url
	if !e.OverridePath {
		at += "/v2"
	}
	object := "1"
	if mode == byDigest {
		object = digest
	}
	if !e.isRedirector() {
		return placeOf(at + "/" + path)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, at+"/"+path+"/manifests/"+object+"?ns="+registry, nil)
	if err != nil {
		return "", false, err
	}
	answer, err := stay.Do(request)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusTemporaryRedirect:
		return placeOf(strings.TrimSuffix(answer.Header.Get("Location"), "/manifests/"+object))
	case http.StatusNotFound:
		return "", false, nil
	case http.StatusForbidden:
		return "", true, nil
	}
	return "", false, fmt.Errorf("the redirector answers %s to %s", answer.Status, request.URL)
}

// placeOf returns the repository of a URL of the API.
func placeOf(text string) (place string, refused bool, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", false, err
	}
	path, isAPI := strings.CutPrefix(u.Path, "/v2/")
	if u.Scheme != "https" || !isAPI {
		return "", false, fmt.Errorf("%s is no repository", text)
	}
	return u.Host + "/" + path, false, nil
}
