{{- define "example" -}}
{{- if eq . "ImageDigestMirrorSet" }}
```yaml
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata:
  name: 10-site
spec:
  imageDigestMirrors:
  - source: quay.io/prometheus
    mirrors:
    - registry.site.example:5000/monitoring
    - registry.eu.example/prometheus
    mirrorSourcePolicy: NeverContactSource
```
{{ else if eq . "ImageTagMirrorSet" }}
```yaml
apiVersion: config.openshift.io/v1
kind: ImageTagMirrorSet
metadata:
  name: 40-tags
spec:
  imageTagMirrors:
  - source: registry.k8s.io
    mirrors:
    - registry.site.example:5000/k8s
```
{{ end -}}
{{- end -}}

{{- define "more" -}}
## Conditions

Each condition of a set or of a MirrorNode has these fields. They are the fields of every condition in Kubernetes.

| field | type | meaning |
|---|---|---|
| `conditions.type` | string | the name of the condition, such as `Applied` |
| `conditions.status` | string | `True`, `False` or `Unknown` |
| `conditions.reason` | string | the cause in CamelCase, such as `Progressing`; programs can rely on it |
| `conditions.message` | string | the cause in words; it can change with each version |
| `conditions.observedGeneration` | integer | the `metadata.generation` that the condition describes |
| `conditions.lastTransitionTime` | time | the last change of `status` |

## Annotations of sets

These annotations work on an ImageDigestMirrorSet and on an ImageTagMirrorSet.

### mirrorset.io/insecure-mirrors

Value: scopes in the form `host[:port][/path]` or `*.host`, separated by commas or line breaks. Example:
`registry.site.example:5000, *.lab.example`.

Nodes reach the mirrors of this set that are inside a scope without TLS checks: over TLS with any certificate, or over
plain HTTP. The annotation makes no source insecure, and no mirror that only other sets name. A scope that is not well
formed, or that contains no mirror of the set, has no effect: the set has the finding `InvalidInsecureMirrors`. The
default is that nodes check TLS for every mirror. The rules are I1 to I4 of [semantics.md](semantics.md).

### mirrorset.io/enforcement

Value: `shadow`.

The annotation puts the set into shadow mode. The set then blocks no source, and nodes count the pulls that
NeverContactSource would refuse. [shadow.md](../how-to/shadow.md) is the guide. Any other value has no effect, and the
set has the finding `InvalidEnforcement`. The default is that nodes enforce NeverContactSource. The rules are V3 to V6
of [semantics.md](semantics.md).

## Labels of nodes

| label | effect |
|---|---|
| `mirrorset.io/agent=disabled` | The node gets no agent. |

The flags `--agent-node-selector` and `--canary-selector` of the manager take labels of your own: [flags.md](flags.md).

## Objects in the namespace of the manager

The namespace is `mirrorset-system`, unless you installed Mirrorset elsewhere.

### Objects that you write

Both objects are optional. [private-mirror.md](../how-to/private-mirror.md) shows how to create them. The rules are G1
to G4 of [semantics.md](semantics.md).

| object | content | keys |
|---|---|---|
| Secret `mirror-credentials` | logins for mirrors | `.dockerconfigjson` |
| ConfigMap `mirror-authorities` | certificates for mirrors, in PEM | `host` or `host..port` |

The type of the Secret is `kubernetes.io/dockerconfigjson`.

### Objects that Mirrorset writes

Do not edit these objects.

| object | content |
|---|---|
| ConfigMap `containers-registries.conf` | the published rules |
| DaemonSet `mirrorset-agent` | the agents |
| Lease `mirrorset-manager` | the leader among the managers |
| ControllerRevisions | the last ten texts of the rules, for `kubectl mirrors rollout history` |

The ConfigMap `containers-registries.conf` has these keys:

| key | content |
|---|---|
| `registries.conf` | the rules as text |
| `registries.conf.gz` | the rules as compressed text, if the text does not fit |
| `blockers.json` | the sets that block each source |
| `shadow.json` | the sets that watch each source in shadow mode |
| `canary.json` | the nodes that try a change, and its revision |
| `canary.gz` | the rules that these nodes try |

It has these annotations:

| annotation | content |
|---|---|
| `mirrorset.io/format` | the format of the ConfigMap; 1 without the annotation |
| `mirrorset.io/revision` | the revision of the rules |
| `mirrorset.io/digest` | the digest of the text |
| `mirrorset.io/sets` | the digest of the sets that the text comes from |
| `mirrorset.io/provisional` | `true` on rules that may be a mistake, such as none while sets are being restored |
| `mirrorset.io/crd-uid` | the UIDs of the CRDs of the sets |
| `mirrorset.io/paused` | written by `kubectl mirrors rollout pause` |
| `mirrorset.io/undone` | written by `kubectl mirrors rollout undo` |
| `mirrorset.io/halted` | written by the manager after a canary has failed |

The manager copies the runtime of a Node into the annotation `mirrorset.io/container-runtime` of the MirrorNode.
{{- end -}}
