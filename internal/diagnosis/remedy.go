// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"strings"
)

// sourceLogin is what to do about a source that wants a login. Nodes have none for sources (docs/semantics.md G4).
const sourceLogin = "If the image is there under this name, give the Pod, or its service account, an imagePullSecret for the registry: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/"

// remedyFor is what to do about the answer that decides.
func (v *view) remedyFor(a answer) string {
	check := "kubectl mirrors check --cluster-credentials " + v.Image.String()
	switch {
	case a.isSource && a.state == refusing:
		return sourceLogin
	case a.isSource && a.state == untrusted:
		return "Have the node trust who signed it: a source gets no authority by sets. See docs/node-setup.md, or name a mirror for it in a set."
	case a.isSource && a.state == limited:
		return "Have a mirror for the image, in a set for its source, so that nodes ask that first; or wait until the registry takes requests again."
	case a.isSource:
		return "See to it that " + a.host() + " can be reached from node " + v.Node.Name + ", or have a mirror for the image in a set."
	case a.state == wrong:
		return "Push the image to " + a.place + " anew, by a tool that keeps digests, as skopeo copy --all --preserve-digests does, or take the mirror out of the set meanwhile."
	case a.state == untrusted:
		return fmt.Sprintf("Give the nodes the certificate of who signed it, in the ConfigMap mirror-authorities:\nkubectl -n %s create configmap mirror-authorities --from-file=%s=ca.crt\n"+
			"If the ConfigMap is there already, add the key to it. Then: %s\nSee docs/how-to/private-mirror.md.", v.Installed, strings.Replace(a.host(), ":", "..", 1), check)
	case a.state == uncertified:
		return "Have " + a.host() + " present a good certificate for its name; or, if everybody may read what it sends, call it insecure by the annotation mirrorset.io/insecure-mirrors of the set."
	case a.state == refusing:
		return v.login(a, check)
	case a.state == cameBack:
		return fmt.Sprintf("%s tells which, as it asks with the logins that nodes have.\nIf %s does not have the image, push it there. If it refuses access, give the nodes a login for it, in the Secret mirror-credentials:\n%s\nSee docs/how-to/private-mirror.md.",
			check, a.place, v.secret(a))
	case a.state == limited:
		return "Wait until " + a.host() + " takes requests again, or give the source another mirror."
	}
	return v.reach(a.host())
}

// login is what to do about a mirror that wants one.
func (v *view) login(a answer, check string) string {
	if strings.Contains(a.why, "refuses the login") {
		return fmt.Sprintf("Put the right login for %s into Secret mirror-credentials of namespace %s. Then: %s\nSee docs/how-to/private-mirror.md.", a.host(), v.Installed, check)
	}
	return fmt.Sprintf("Give the nodes a login for it, in the Secret mirror-credentials:\n%s Then: %s\nSee docs/how-to/private-mirror.md.", v.secret(a), check)
}

// secret is the command that has a login for a mirror in the Secret.
func (v *view) secret(a answer) string {
	return fmt.Sprintf("kubectl -n %s create secret docker-registry mirror-credentials --docker-server=%s --docker-username=USER --docker-password=PASSWORD\n"+
		"If the Secret is there already, add the login to it, or put it right.", v.Installed, a.host())
}

// reach is what to do about a mirror that does not answer as it should.
func (v *view) reach(mirror string) string {
	return "See to it that " + mirror + " runs and can be reached from node " + v.Node.Name + "; or take it out of the set, or give the source another mirror. To ask from where you are: kubectl mirrors check " + v.Image.String()
}
