// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// The paths of what rollouts are steered by.
const (
	RecordsPath    = "/apis/apps/v1/namespaces/mirrorset-system/controllerrevisions"
	ReviewsPath    = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	ConfigMapsPath = "/api/v1/namespaces/mirrorset-system/configmaps"
)

// Steered is the ConfigMap behind an API that takes merge patches of its annotations.
type Steered struct {
	t      *testing.T
	lock   sync.Mutex
	object map[string]any
	// Patches are the queries of those that were taken, dry runs too.
	Patches []url.Values
	// Meanwhile is called before each patch, with what may be changed as if by somebody else; nil for nothing.
	Meanwhile func(annotations map[string]string)
}

// NewSteered returns the ConfigMap of a payload, with a canary's next to it, or nil, and with annotations.
func NewSteered(t *testing.T, p payload.Payload, canary *payload.Canary, rollout payload.Rollout) *Steered {
	t.Helper()
	data, binaryData, err := p.DataBeside(canary)
	if err != nil {
		t.Fatal(err)
	}
	object := ConfigMapOf(t, p)
	object["data"], object["binaryData"] = data, binaryData
	s := &Steered{t: t, object: object}
	s.metadata()["resourceVersion"] = "7"
	maps.Copy(s.annotations(), rollout.Annotations())
	return s
}

func (s *Steered) metadata() map[string]any { return s.object["metadata"].(map[string]any) }

func (s *Steered) annotations() map[string]string {
	return s.metadata()["annotations"].(map[string]string)
}

// Rollout is what the annotations say.
func (s *Steered) Rollout() payload.Rollout {
	s.lock.Lock()
	defer s.lock.Unlock()
	return payload.ReadRollout(s.annotations())
}

// List answers as an API server does that is asked for all ConfigMaps of this name.
func (s *Steered) List() http.HandlerFunc {
	list := func() any {
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{s.object}}
	}
	return Lists(s.t, list(), list)
}

// Serve answers.
func (s *Steered) Serve(w http.ResponseWriter, r *http.Request) {
	s.lock.Lock()
	defer s.lock.Unlock()
	w.Header().Set("Content-Type", "application/json")
	var answer any = s.object
	if r.Method == http.MethodPatch {
		answer = s.patch(w, r)
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func (s *Steered) patch(w http.ResponseWriter, r *http.Request) any {
	var patch struct {
		Metadata struct {
			ResourceVersion string             `json:"resourceVersion"`
			Annotations     map[string]*string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		s.t.Errorf("%q: %v", r.Header.Get("Content-Type"), err)
	}
	version := s.metadata()["resourceVersion"].(string)
	if s.Meanwhile != nil {
		s.Meanwhile(s.annotations())
		s.Meanwhile, version = nil, s.bump(version)
	}
	if patch.Metadata.ResourceVersion != version {
		w.WriteHeader(http.StatusConflict)
		status := apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, payload.ConfigMapName, errors.New("it was modified")).Status()
		status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		return status
	}
	s.Patches = append(s.Patches, r.URL.Query())
	if r.URL.Query().Has("dryRun") {
		return s.object
	}
	for key, value := range patch.Metadata.Annotations {
		if value == nil {
			delete(s.annotations(), key)
		} else {
			s.annotations()[key] = *value
		}
	}
	s.bump(version)
	return s.object
}

func (s *Steered) bump(version string) string {
	n, err := strconv.Atoi(version)
	if err != nil {
		s.t.Error(err)
	}
	version = strconv.Itoa(n + 1)
	s.metadata()["resourceVersion"] = version
	return version
}

// RecordList is the list of records as an API server returns it.
func RecordList(t *testing.T, records ...history.Record) appsv1.ControllerRevisionList {
	t.Helper()
	list := appsv1.ControllerRevisionList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ControllerRevisionList"}}
	for i := range records {
		object, err := records[i].Object("mirrorset-system")
		if err != nil {
			t.Fatal(err)
		}
		object.CreationTimestamp = records[i].Published
		list.Items = append(list.Items, *object)
	}
	return list
}

// ReviewOf answers who asks.
func ReviewOf(user string) authenticationv1.SelfSubjectReview {
	return authenticationv1.SelfSubjectReview{TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "SelfSubjectReview"},
		Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: user}}}
}
