// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/operator-framework/api/pkg/apis/scorecard/v1alpha3"
	"sigs.k8s.io/yaml"
)

// scorecardProgram is what is in the image of the scorecard's tests.
const scorecardProgram = "../../bin/olm/scorecard-test"

// scorecard runs one test on a bundle. The program looks for /bundle, so it gets a root of its own.
func scorecard(t *testing.T, dir, name string) v1alpha3.TestResult {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "bundle"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(scorecardProgram)
	if err != nil {
		t.Fatalf("%v: make bin/olm/scorecard-test", err)
	}
	if err := os.WriteFile(filepath.Join(root, "scorecard-test"), program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/scorecard-test", name)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: root}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n(a user other than root needs user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0)", name, err, errs.String())
	}
	var status v1alpha3.TestStatus
	if err := json.Unmarshal(out, &status); err != nil || len(status.Results) != 1 {
		t.Fatalf("%s: %v in\n%s", name, err, out)
	}
	return status.Results[0]
}

// The bundle passes the tests that it names itself, and names those of the release that they are run from.
func TestTheScorecardPassesTheBundle(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(bundle, "tests/scorecard/config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config v1alpha3.Configuration
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		t.Fatal(err)
	}
	built, err := buildinfo.ReadFile(scorecardProgram)
	if err != nil {
		t.Fatalf("%v: make bin/olm/scorecard-test", err)
	}
	if len(config.Stages) != 1 || len(config.Stages[0].Tests) != 6 {
		t.Fatalf("want one stage with the six tests of operator-sdk in\n%s", text)
	}
	for _, test := range config.Stages[0].Tests {
		if want := "quay.io/operator-framework/scorecard-test:" + built.Main.Version; test.Image != want {
			t.Errorf("test %s is run from %s; want %s, which test/olm/go.mod pins", test.Entrypoint, test.Image, want)
		}
		name := test.Entrypoint[len(test.Entrypoint)-1]
		if result := scorecard(t, bundle, name); result.Name != name || result.State != v1alpha3.PassState {
			t.Errorf("%s: %s: %q, suggestions %q", name, result.State, result.Errors, result.Suggestions)
		}
	}
}

func TestTheScorecardFailsABundleWithoutResources(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(bundle)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, csv)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(text), "      resources:\n      - kind: DaemonSet", "      resources2:\n      - kind: DaemonSet", 1)
	if err := os.WriteFile(file, []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	if result := scorecard(t, dir, "olm-crds-have-resources"); result.State != v1alpha3.FailState {
		t.Errorf("olm-crds-have-resources: %s; want fail", result.State)
	}
}
