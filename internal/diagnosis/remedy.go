// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"regexp"
	"strings"
)

// sourceLogin is what to do about a source that wants a login. Nodes have none for sources (docs/reference/semantics.md G4).
const sourceLogin = "If the image is there under this name, give the Pod, or its service account, an imagePullSecret for the registry: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/"

// remedyFor is what to do about the answer that decides.
func (v *view) remedyFor(a answer) string {
	check := "kubectl mirrors check --cluster-credentials " + v.Image.String()
	switch {
	case a.state == proxied:
		return v.proxy(a)
	case a.state == early:
		return "Set the clock of node " + v.Node.Name + " right. If it is right, " + a.host() + " has a certificate that is not good before a later time, and needs another."
	case a.isSource && a.state == refusing && gotLogin.MatchString(a.why):
		return "Put the right login into the imagePullSecret that the Pod, or its service account, has for " + a.host() + ", if the image is there under this name."
	case a.isSource && a.state == refusing:
		return sourceLogin
	case a.isSource && a.state == wrong:
		return "Have a mirror for the image in a set, or make the image at the source anew. A proxy on the way that changes what it passes on looks like this too."
	case a.isSource && a.state == uncertified:
		return "Have " + a.host() + " present a good certificate for its name, and no proxy on the way another one; or have a mirror for the image in a set. Until then node " + v.Node.Name + " does not take what it sends."
	case a.isSource && a.state == untrusted:
		return "Have the node trust who signed it: a source gets no authority by sets. See docs/how-to/node-setup.md, or name a mirror for it in a set."
	case a.isSource && a.state == limited:
		return "Have a mirror for the image, in a set for its source, so that nodes ask that first; or wait until the registry takes requests again."
	case a.isSource:
		return "See to it that " + a.host() + " can be reached from node " + v.Node.Name + ", or have a mirror for the image in a set."
	case a.state == incomplete:
		return "Copy the image to " + a.place + " again, whole, by a tool that keeps digests, as skopeo copy --all --preserve-digests does."
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
		return fmt.Sprintf("%s tells which, as it asks with the logins that nodes have.\nIf %s does not have the image, push it there. If it refuses access, give the nodes a login for it, in the Secret mirror-credentials:\n%s\nSee docs/how-to/private-mirror.md. %s",
			check, a.place, v.secret(a), v.lookAtRuntime())
	case a.state == limited:
		return "Wait until " + a.host() + " takes requests again, or give the source another mirror."
	}
	return v.reach(a.host())
}

// gotLogin is in what containerd says where it had a login for the token server of a registry.
var gotLogin = regexp.MustCompile(`failed to fetch oauth token: unexpected status .*: 40[013] `)

// proxyAt finds the address of a proxy that could not be used.
var proxyAt = regexp.MustCompile(`proxyconnect \S+ (?:dial \S+ )?(?:lookup )?([^\s:]+(?::\d+)?)`)

// proxy is what to do where a proxy is in the way.
func (v *view) proxy(a answer) string {
	name := "the proxy"
	if found := proxyAt.FindStringSubmatch(a.why); found != nil {
		name += " " + found[1]
	}
	remedy := fmt.Sprintf("See to it that %s, through which node %s goes to %s, runs and lets it; or, if %s can be reached without, name that in NO_PROXY.", name, v.Node.Name, a.host(), a.host())
	if strings.Contains(strings.ToLower(a.why), "proxy authentication required") {
		remedy = fmt.Sprintf("Have the login that %s wants in HTTPS_PROXY; or, if %s can be reached from node %s without it, name that in NO_PROXY.", name, a.host(), v.Node.Name)
	}
	return remedy + " They are in the environment of who asks: the node's runtime, or the agent."
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
