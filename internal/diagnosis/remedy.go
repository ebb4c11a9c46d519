// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"regexp"
	"strings"
)

// sourceLogin is what to do about a source that requires a login. Nodes have no logins for sources (docs/reference/semantics.md G4).
const sourceLogin = "If the image exists under this name, give the Pod or its service account an imagePullSecret for the registry: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/"

// remedyFor is what to do about the answer that decides.
func (v *view) remedyFor(a answer) string {
	check := "kubectl mirrors check --cluster-credentials " + v.Image.String()
	switch {
	case a.state == proxied:
		return v.proxy(a)
	case a.state == early:
		return "Correct the clock of node " + v.Node.Name + ". If the clock is right, " + a.host() + " has a certificate that is not valid yet, and needs another certificate."
	case a.isSource && a.state == refusing && gotLogin.MatchString(a.why):
		return "Put the right login into the imagePullSecret that the Pod or its service account has for " + a.host() + ", if the image exists under this name."
	case a.isSource && a.state == refusing:
		return sourceLogin
	case a.isSource && a.state == wrong:
		return "Add a mirror for the image to a set, or build the image again at the source. A proxy that changes content on the way causes this error as well."
	case a.isSource && a.state == uncertified:
		return "Make sure that " + a.host() + " presents a valid certificate for its name, and that no proxy on the way replaces it; or add a mirror for the image to a set. Until then, node " + v.Node.Name + " does not accept content from it."
	case a.isSource && a.state == untrusted:
		return "Make the node trust the authority that signed it, because sets cannot grant an authority to a source: see docs/how-to/node-setup.md. Or name a mirror for the source in a set."
	case a.isSource && a.state == limited:
		return "Name a mirror for the source in a set, so that nodes try the mirror first; or wait until the registry accepts requests again."
	case a.isSource:
		return "Make sure that " + a.host() + " is reachable from node " + v.Node.Name + ", or add a mirror for the image to a set."
	case a.state == incomplete:
		return "Copy the image to " + a.place + " again, completely, with a tool that keeps digests, such as skopeo copy --all --preserve-digests."
	case a.state == wrong:
		return "Push the image to " + a.place + " again with a tool that keeps digests, such as skopeo copy --all --preserve-digests, or remove the mirror from the set until then."
	case a.state == untrusted:
		return fmt.Sprintf("Give the nodes the certificate of the authority that signed it, in the ConfigMap mirror-authorities:\nkubectl -n %s create configmap mirror-authorities --from-file=%s=ca.crt\n"+
			"If the ConfigMap already exists, add the key to it. Then: %s\nSee docs/how-to/private-mirror.md.", v.Installed, strings.Replace(a.host(), ":", "..", 1), check)
	case a.state == uncertified:
		return "Make sure that " + a.host() + " presents a valid certificate for its name; or, if its content is public, declare it insecure with the annotation mirrorset.io/insecure-mirrors of the set."
	case a.state == refusing:
		return v.login(a, check)
	case a.state == cameBack:
		return fmt.Sprintf("To find out which, run %s, which uses the logins of the nodes.\nIf %s does not have the image, push it there. If it refuses access, give the nodes a login for it, in the Secret mirror-credentials:\n%s\nSee docs/how-to/private-mirror.md. %s",
			check, a.place, v.secret(a), v.lookAtRuntime())
	case a.state == limited:
		return "Wait until " + a.host() + " accepts requests again, or give the source another mirror."
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
	remedy := fmt.Sprintf("Make sure that %s, through which node %s contacts %s, runs and allows the request; or, if %s is reachable without the proxy, add it to NO_PROXY.", name, v.Node.Name, a.host(), a.host())
	if strings.Contains(strings.ToLower(a.why), "proxy authentication required") {
		remedy = fmt.Sprintf("Add the login that %s requires to HTTPS_PROXY; or, if %s is reachable from node %s without the proxy, add it to NO_PROXY.", name, a.host(), v.Node.Name)
	}
	return remedy + " These variables belong to the environment of the program that sends the request: the node's runtime or the agent."
}

// login is what to do about a mirror that requires a login.
func (v *view) login(a answer, check string) string {
	if strings.Contains(a.why, "refuses the login") {
		return fmt.Sprintf("Put the right login for %s into Secret mirror-credentials of namespace %s. Then: %s\nSee docs/how-to/private-mirror.md.", a.host(), v.Installed, check)
	}
	return fmt.Sprintf("Give the nodes a login for it, in the Secret mirror-credentials:\n%s Then: %s\nSee docs/how-to/private-mirror.md.", v.secret(a), check)
}

// secret is the command that has a login for a mirror in the Secret.
func (v *view) secret(a answer) string {
	return fmt.Sprintf("kubectl -n %s create secret docker-registry mirror-credentials --docker-server=%s --docker-username=USER --docker-password=PASSWORD\n"+
		"If the Secret already exists, add or correct the login.", v.Installed, a.host())
}

// reach is what to do about a mirror that does not answer as it should.
func (v *view) reach(mirror string) string {
	return "Make sure that " + mirror + " runs and is reachable from node " + v.Node.Name + "; or remove it from the set, or give the source another mirror. To contact it from your machine, run: kubectl mirrors check " + v.Image.String()
}
