// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/pkg/deprecation"
	"github.com/containerd/containerd/v2/plugins"
	_ "github.com/containerd/containerd/v2/plugins/cri/images" // registers the plugin that pulls for the kubelet
	"github.com/containerd/containerd/v2/plugins/services/warning"
	_ "github.com/containerd/containerd/v2/plugins/transfer" // and the one that has a config_path of its own
	"github.com/containerd/containerd/v2/version"
	"github.com/containerd/log"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/pelletier/go-toml/v2"
)

const configurations = "../../../internal/nodecheck/testdata"

// reading is how internal/nodecheck writes down what a containerd makes of its configuration.
type reading struct {
	Refused    string `json:"refused"`
	Disabled   bool   `json:"disabled"`
	ConfigPath string `json:"configPath"`
	Conflict   bool   `json:"conflict"`
	Local      bool   `json:"local"`
	Transfer   string `json:"transfer"`
}

// TestContainerdReadsItsConfigurationAsWeDo is about the version in go.mod; internal/nodecheck says how others are judged.
func TestContainerdReadsItsConfigurationAsWeDo(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(configurations, "*.out.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	if err := log.SetLevel("panic"); err != nil {
		t.Fatal(err)
	}
	j := newJudge(t)
	for _, path := range cases {
		name := strings.TrimSuffix(filepath.Base(path), ".out.json")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var golden struct{ Readings []reading }
			if err := json.Unmarshal(data, &golden); err != nil {
				t.Fatal(err)
			}
			if len(golden.Readings) == 0 {
				return // there is no configuration file to be read
			}
			want := golden.Readings[len(golden.Readings)-1]
			got := j.read(t, extract(t, filepath.Join(configurations, name+".in.txt")))
			for _, reason := range []string{"ContainerdConfigUnreadable", "ContainerdImportUnseen"} {
				if bytes.Contains(data, []byte(reason)) {
					want = reading{Refused: reason}
				}
			}
			if got.Refused != "" && want.Refused != "" {
				return // each in its own words
			}
			if got.Conflict && want.Conflict {
				got.Local = want.Local // containerd did not come to that
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// extract writes the files of a case below a folder and returns the path of the main one. Imports are led there.
func extract(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, part := range strings.Split("\n"+string(data), "\n-- ")[1:] {
		name, text, _ := strings.Cut(part, " --\n")
		text = strings.ReplaceAll(text, `imports = ["/`, `imports = ["`+root+`/`)
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "etc/containerd/config.toml")
}

// judge is containerd's own loader, with the two plugins that have a config_path. The one that pulls for the kubelet is
// started with as little of the others as brings it to its own checks; it fails after these, for want of a transfer service.
type judge struct {
	set      *plugin.Set
	defaults map[string]reflect.Value // of the plugins' configurations, which decoding overwrites
}

var (
	imagesURI   = string(plugins.CRIServicePlugin) + ".images"
	transferURI = string(plugins.TransferPlugin) + ".local"
)

type noWarnings struct{}

func (noWarnings) Emit(context.Context, deprecation.Warning) {}
func (noWarnings) Warnings() []warning.Warning               { return nil }

func newJudge(t *testing.T) *judge {
	t.Helper()
	j := &judge{set: plugin.NewPluginSet(), defaults: make(map[string]reflect.Value)}
	for kind, instance := range map[plugin.Type]any{plugins.MetadataPlugin: (*metadata.DB)(nil), plugins.WarningPlugin: noWarnings{}} {
		r := plugin.Registration{Type: kind, ID: "none", InitFn: func(*plugin.InitContext) (any, error) { return instance, nil }}
		if err := j.set.Add(r.Init(plugin.NewContext(t.Context(), j.set, nil))); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range registry.Graph(config.V2DisabledFilter(nil)) {
		if r.Config != nil {
			j.defaults[r.URI()] = reflect.ValueOf(reflect.ValueOf(r.Config).Elem().Interface())
		}
	}
	return j
}

// read does with a configuration file what containerd does when it is started with it.
func (j *judge) read(t *testing.T, path string) (r reading) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil { // at a version that it does not know
			r = reading{Refused: fmt.Sprint(p)}
		}
	}()
	c := config.Config{Version: version.ConfigVersion, Plugins: map[string]any{}}
	all := registry.Graph(config.V2DisabledFilter(nil))
	if err := config.LoadConfigWithPlugins(t.Context(), path, func() iter.Seq[plugin.Registration] { return slices.Values(all) }, &c); err != nil {
		return reading{Refused: err.Error()}
	}
	// The kubelet's interface is in a third plugin, which needs the one that pulls.
	r.Disabled = slices.Contains(c.DisabledPlugins, string(plugins.GRPCPlugin)+".cri") || slices.Contains(c.DisabledPlugins, imagesURI)
	for _, registration := range all {
		if registration.Config == nil {
			continue
		}
		reflect.ValueOf(registration.Config).Elem().Set(j.defaults[registration.URI()])
		if _, err := c.Decode(t.Context(), registration.URI(), registration.Config); err != nil {
			return reading{Refused: err.Error()}
		}
		if registration.URI() == imagesURI {
			_, err := registration.InitFn(plugin.NewContext(t.Context(), j.set, nil))
			if err == nil {
				t.Fatal("the plugin starts without a transfer service")
			}
			r.Conflict = strings.Contains(err.Error(), "invalid cri image config")
		}
		data, err := toml.Marshal(registration.Config)
		if err != nil {
			t.Fatal(err)
		}
		var values struct {
			ConfigPath string `toml:"config_path"`
			Local      bool   `toml:"use_local_image_pull"`
			Registry   struct {
				ConfigPath string `toml:"config_path"`
			} `toml:"registry"`
		}
		if err := toml.Unmarshal(data, &values); err != nil {
			t.Fatal(err)
		}
		switch registration.URI() {
		case imagesURI:
			r.ConfigPath, r.Local = values.Registry.ConfigPath, values.Local
		case transferURI:
			r.Transfer = values.ConfigPath
		}
	}
	return r
}
