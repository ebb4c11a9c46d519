{{- /* The labels that show which release an object is from. Pods have none of them: an upgrade of the chart alone replaces no Pod. */ -}}
{{- define "mirrorset.releaseLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}

{{- /* The labels of every object, besides its own. */ -}}
{{- define "mirrorset.labels" -}}
{{- include "mirrorset.releaseLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* By these labels, the Deployment, its Service, the NetworkPolicy, the monitors and kubectl mirrors find the manager's Pods. */ -}}
{{- define "mirrorset.selector" -}}
app.kubernetes.io/name: mirrorset
app.kubernetes.io/component: manager
{{- end }}

{{- /* The manager's ServiceAccount. */ -}}
{{- define "mirrorset.serviceAccount" -}}
{{- $account := .Values.serviceAccount }}
{{- if not (or $account.create $account.name) }}
{{- fail "serviceAccount.create is false, and serviceAccount.name is empty: set serviceAccount.name to an account in the release's namespace" }}
{{- end }}
{{- $account.name | default "mirrorset-manager" }}
{{- end }}

{{- /* The image of the manager, the agents and the test. */ -}}
{{- define "mirrorset.image" -}}
{{- $image := .Values.image }}
{{- $host := splitList "/" $image.repository | first }}
{{- $named := and (contains "/" $image.repository) (or (regexMatch "[.:]" $host) (eq $host "localhost")) }}
{{- $registry := $image.registry | default (ternary "" "ghcr.io" $named) }}
{{- $name := list $registry $image.repository | compact | join "/" }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name ($image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- /* Refuses values that contradict each other or what Mirrorset is. */ -}}
{{- define "mirrorset.refusals" -}}
{{- range $key := list "nameOverride" "fullnameOverride" }}
{{- $name := get $.Values $key }}
{{- if not (has $name (list "" "mirrorset")) }}
{{- printf "%s=%q: the objects of Mirrorset cannot be renamed, because the manager and the agents have rights to objects by their names, and kubectl mirrors finds them by their names; remove %[1]s" $key $name | fail }}
{{- end }}
{{- end }}
{{- $ours := list "app.kubernetes.io/name" "app.kubernetes.io/component" "app.kubernetes.io/part-of" "app.kubernetes.io/managed-by" "app.kubernetes.io/instance" "helm.sh/chart" }}
{{- range $key := list "commonLabels" "podLabels" }}
{{- range $label, $_ := get $.Values $key | default dict }}
{{- if has $label $ours }}
{{- printf "%s: the chart sets the label %s itself; remove it from %[1]s" $key $label | fail }}
{{- end }}
{{- end }}
{{- end }}
{{- if has .Values.serviceAccount.name (list "mirrorset-agent" "mirrorset-prometheus" "mirrorset-test") }}
{{- printf "serviceAccount.name=%q: another part of Mirrorset uses this account; choose another name" .Values.serviceAccount.name | fail }}
{{- end }}
{{- $names := list }}
{{- range include "mirrorset.environment" . | fromYamlArray }}
{{- if has .name $names }}
{{- printf "extraEnv: %s is set twice; remove it from extraEnv, or remove the value that sets it too" .name | fail }}
{{- end }}
{{- if and .valueFrom (has (upper .name) (list "HTTP_PROXY" "HTTPS_PROXY" "NO_PROXY")) }}
{{- printf "extraEnv: the manager copies %s as plain text into the agents' DaemonSet, so it must not come from a Secret; set proxy.httpProxy, proxy.httpsProxy or proxy.noProxy without a password" .name | fail }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}
