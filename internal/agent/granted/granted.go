// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package granted follows the grants of mirrors in the cluster, which are in the Secret and the ConfigMap of internal/grants. It watches the two by
// their names (section 5a of docs/reference/semantics.md). Until the API server has reported each of the two, the copy that an earlier agent left on
// the host takes its place.
package granted

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/mirrorset/mirrorset/internal/apiclient"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

// MirrorGrants is the reason of a problem with one of the two objects.
const MirrorGrants nodecheck.Reason = "MirrorGrants"

// Follower knows the grants of mirrors. Its methods must not be called concurrently.
type Follower struct {
	files       onhost.Files
	log         logr.Logger
	namespace   string // of the two objects; empty until they are followed
	credentials object[*corev1.Secret]
	authorities object[*corev1.ConfigMap]
	granted     grants.Grants
	from        [2]string // the versions of the two objects that was read from
}

// New returns a follower without any grants.
func New(host *hostfile.Host, log logr.Logger) *Follower {
	return &Follower{files: onhost.At(host), log: log}
}

// Restore uses the copy that an earlier agent left on the host, until the API server has reported the present objects.
func (f *Follower) Restore() {
	credentials, authorities, err := f.files.Read()
	if err != nil {
		f.log.Error(err, "Some logins or authorities of mirrors were not restored")
	}
	f.credentials.restored, f.authorities.restored = credentials, authorities
	f.from = [2]string{} // another restored one has the same version
}

// Follow watches the two objects, with a client of the core group, until the context ends. It calls changed when [Follower.Look] may have news.
func (f *Follower) Follow(ctx context.Context, core cache.Getter, namespace string, changed func()) error {
	f.namespace = namespace
	if err := follow(ctx, &f.credentials, grants.CredentialsName, apiclient.Objects(core, "secrets", namespace), &corev1.Secret{}, changed); err != nil {
		return err
	}
	return follow(ctx, &f.authorities, grants.AuthoritiesName, apiclient.Objects(core, "configmaps", namespace), &corev1.ConfigMap{}, changed)
}

// Look reads the two objects as they are now, and returns the problems with them. It reports if the grants have changed: see [Follower.Granted].
func (f *Follower) Look(now time.Time) (problems []nodecheck.Problem, changed bool) {
	credentials, credentialsAt := f.credentials.current()
	authorities, authoritiesAt := f.authorities.current()
	granted, found := grants.Read(credentials, authorities, f.granted, now)
	for _, p := range found {
		problems = append(problems, nodecheck.Problem{Reason: MirrorGrants, Effect: nodecheck.Mild, Message: p.Message, Remedy: p.Remedy})
	}
	if f.credentials.refused.Load() {
		problems = append(problems, f.refusal("Secret "+grants.CredentialsName))
	}
	if f.authorities.refused.Load() {
		problems = append(problems, f.refusal("ConfigMap "+grants.AuthoritiesName))
	}
	from := [2]string{credentialsAt, authoritiesAt}
	if from == f.from {
		return problems, false
	}
	f.granted, f.from = granted, from
	return problems, true
}

// Granted is the grants of mirrors as of the last [Follower.Look].
func (f *Follower) Granted() grants.Grants {
	return f.granted
}

// Unused describes the logins and authorities that are for no mirror of the rules, for example because a key lacks a port. Without rules there is
// nothing to compare with.
func (f *Follower) Unused(rules []mirrors.Rule) (problems []nodecheck.Problem) {
	if len(rules) == 0 || f.granted.IsEmpty() {
		return nil
	}
	var places []mirrors.Scope
	for i := range rules {
		for _, m := range rules[i].Mirrors {
			places = append(places, m.Location)
		}
	}
	logins, authorities := f.granted.Unused(places)
	for _, unused := range []struct {
		object, form string
		keys         []string
	}{{"Secret " + grants.CredentialsName, "HOST[:PORT][/PATH]", logins}, {"ConfigMap " + grants.AuthoritiesName, "HOST or HOST..PORT", authorities}} {
		if len(unused.keys) == 0 {
			continue
		}
		more := ""
		if n := len(unused.keys) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		problems = append(problems, nodecheck.Problem{Reason: MirrorGrants, Effect: nodecheck.Mild,
			Message: fmt.Sprintf("%s, key %q%s: no set names a mirror there, so the key is not used", unused.object, unused.keys[0], more),
			Remedy:  "write " + unused.form + " as the sets name the mirror, or remove the key"})
	}
	return problems
}

func (f *Follower) refusal(object string) nodecheck.Problem {
	return nodecheck.Problem{Reason: MirrorGrants, Effect: nodecheck.Mild,
		Message: fmt.Sprintf("the API server does not allow the agent to read %s in namespace %s, so this node keeps its last copy", object, f.namespace),
		Remedy:  "install the roles of this version of Mirrorset, which allow an agent to list and watch it"}
}

// object is one of the two.
type object[T metav1.Object] struct {
	restored T                         // the zero value where there is none
	informer cache.SharedIndexInformer // nil until it is followed
	refused  atomic.Bool               // by the last answer of the API server
}

// current returns what there is, and which version of it that is.
func (o *object[T]) current() (current T, version string) {
	if o.informer == nil || !o.informer.HasSynced() {
		return o.restored, "restored"
	}
	for _, seen := range o.informer.GetStore().List() {
		if seen, ok := seen.(T); ok {
			return seen, string(seen.GetUID()) + "/" + seen.GetResourceVersion()
		}
	}
	return current, "none"
}

// follow watches an object until the context ends. If the API server refuses it, as with the roles of an older version, [Follower.Look] reports that.
// It is not logged with each retry.
func follow[T metav1.Object](ctx context.Context, o *object[T], name string, objects *cache.ListWatch, example runtime.Object, changed func()) error {
	answered := func(err error) {
		if refused := apierrors.IsForbidden(err); (err == nil || refused) && o.refused.Swap(refused) != refused {
			changed()
		}
	}
	o.informer = rewatch.InformerOfOne(name,
		func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			found, err := objects.ListWithContext(ctx, options)
			answered(err)
			return found, err
		},
		func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := objects.WatchWithContext(ctx, options)
			answered(err)
			return events, err
		}, example)
	if err := o.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if !apierrors.IsForbidden(err) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
		}
	}); err != nil {
		return err
	}
	wake := func(any) { changed() }
	if _, err := o.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: wake, UpdateFunc: func(_, now any) { wake(now) }, DeleteFunc: wake,
	}); err != nil {
		return err
	}
	go o.informer.RunWithContext(ctx)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), o.informer.HasSynced) {
			changed() // there may be no such object, which nothing else tells
		}
	}()
	return nil
}
