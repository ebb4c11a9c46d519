// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("kubectl mirrors pulls on a real node", func() {
	It("shows what served a pull, of a node and of a Pod, and with --watch another one as it comes", func(ctx SpecContext) {
		s := newSite(ctx)
		image, digest := newImage(ctx)
		s.first.push(ctx, "copy", image)
		s.apply(ctx, []string{mirrored("0")}, set("20-global", s.source.host+"/team/app", s.second.host+"/copy", s.first.host+"/copy"))
		reference := s.source.host + "/team/app" + digest
		pod := expectRunning(ctx, s.Cluster, createPod(ctx, s.Cluster, reference, true))
		row := SatisfyAll(ContainSubstring(reference), MatchRegexp(`\s`+s.first.host+`/copy\s+`+s.second.host+`/copy: missing\s`))
		for _, line := range []string{"kubectl mirrors pulls", "kubectl mirrors pulls " + cluster.NodeName, "kubectl mirrors pulls pod/" + pod.Name} {
			Expect(run(s.shell(ctx, line))).To(row, line)
		}
		other := createPod(ctx, s.Cluster, s.source.host+"/team/other"+digest, true)
		Eventually(func() string {
			out, _ := s.shell(ctx, "kubectl mirrors pulls "+other.Name).CombinedOutput() // until it is on the node
			return string(out)
		}).WithContext(ctx).WithTimeout(convergeTimeout).Should(SatisfyAll(ContainSubstring(s.source.host+"/team/other"+digest+"   the source (sent)"), Not(ContainSubstring(reference))))

		watching, err := gexec.Start(s.shell(ctx, "exec kubectl mirrors pulls --watch "+cluster.NodeName), GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { watching.Kill() })
		Eventually(watching).WithContext(ctx).WithTimeout(convergeTimeout).Should(gbytes.Say(digest))
		Expect(watchers()).To(HaveLen(1))
		second, digest := newImage(ctx)
		s.first.push(ctx, "copy", second)
		expectRunning(ctx, s.Cluster, createPod(ctx, s.Cluster, s.source.host+"/team/app"+digest, true))
		Eventually(watching).WithContext(ctx).WithTimeout(convergeTimeout).Should(gbytes.Say(digest + `\s+` + s.first.host + "/copy"))
		gone := time.Now()
		watching.Kill()
		Eventually(watchers).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(BeEmpty())
		reportTime("the agent's command ended after its reader had gone for", gone)
	}, nodeTimeout)

	It("names the right that is missing, and is content with create alone", func(ctx SpecContext) {
		m := mirrorset(ctx)
		asUser := func() (string, error) {
			out, err := m.shell(ctx, "kubectl mirrors pulls node/"+cluster.NodeName+" --as=e2e-pulls").CombinedOutput()
			return string(out), err
		}
		refusal := func() string {
			out, err := asUser()
			Expect(err).To(HaveOccurred(), out)
			return out
		}
		Expect(refusal()).To(ContainSubstring(`the right to "list" "pods" in namespace ` + namespace))
		grant(ctx, m, "list", "pods")
		Eventually(refusal).WithContext(ctx).WithTimeout(convergeTimeout).Should(ContainSubstring(`the right to "create" "pods/exec" in namespace ` + namespace))
		grant(ctx, m, "create", "pods/exec")
		Eventually(func(g Gomega) {
			out, err := asUser()
			g.Expect(err).NotTo(HaveOccurred(), out)
			g.Expect(out).To(ContainSubstring("on node " + cluster.NodeName + " since "))
		}).WithContext(ctx).WithTimeout(convergeTimeout).Should(Succeed())
	}, nodeTimeout)
})

// watchers are the processes in agents' containers that somebody watches pulls by.
func watchers() (pids []int) {
	GinkgoHelper()
	for pid, line := range commandLines() {
		if line == strings.Join([]string{"/agent", "pulls", "--watch", "--until-eof", ""}, "\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// grant gives the user of the spec a right in Mirrorset's namespace until its end.
func grant(ctx context.Context, m *operator, verb, resource string) {
	GinkgoHelper()
	name := "e2e-pulls-" + verb
	roles, bindings := m.Client.RbacV1().Roles(namespace), m.Client.RbacV1().RoleBindings(namespace)
	_, err := roles.Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{corev1.GroupName}, Resources: []string{resource}, Verbs: []string{verb}}}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) error { return roles.Delete(ctx, name, metav1.DeleteOptions{}) }, cleanUpTimeout)
	_, err = bindings.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "e2e-pulls"}},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) error { return bindings.Delete(ctx, name, metav1.DeleteOptions{}) }, cleanUpTimeout)
}
