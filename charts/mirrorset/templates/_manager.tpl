{{- /* The manager's arguments: the values that differ from its own defaults. */ -}}
{{- define "mirrorset.arguments" -}}
- --leader-elect
{{- with .Values.logLevel }}
- {{ printf "--zap-log-level=%v" . | quote }}
- {{ printf "--agent-log-level=%v" . | quote }}
{{- end }}
{{- range .Values.insecureRegistries }}
- {{ printf "--insecure-registry=%s" . | quote }}
{{- end }}
{{- with .Values.containersDir }}
- {{ printf "--containers-dir=%s" . | quote }}
{{- end }}
{{- with .Values.containerdCertsDir }}
- {{ printf "--containerd-certs-dir=%s" . | quote }}
{{- end }}
{{- with .Values.containerdConfig }}
- {{ printf "--containerd-config=%s" . | quote }}
{{- end }}
{{- with .Values.redirectorPort }}
- {{ printf "--redirector-port=%v" . }}
{{- end }}
{{- if .Values.allowDefaultHost }}
- --allow-default-host
{{- end }}
{{- if .Values.crioReload }}
- --crio-reload
{{- end }}
{{- include "mirrorset.agentArguments" .Values.agent }}
{{- with .Values.canary }}
{{- if ne (empty .selector) (empty .soak) }}
{{- fail "canary.selector and canary.soak: a change goes to canaries first only where both say to which nodes and for how long; set both, or neither" }}
{{- end }}
{{- with .selector }}
- {{ printf "--canary-selector=%s" . | quote }}
{{- end }}
{{- with .soak }}
- {{ printf "--canary-soak=%s" . | quote }}
{{- end }}
{{- end }}
{{- if or .Values.agent.metrics.enabled .Values.serviceMonitor.enabled }}
- --agent-metrics-bind-address=:290
{{- end }}
{{- range .Values.extraArgs }}
- {{ quote . }}
{{- end }}
{{- end }}

{{- /* Those about the agents. */ -}}
{{- define "mirrorset.agentArguments" -}}
{{- with .nodeSelector }}
{{- $labels := list }}
{{- range $key, $value := . }}
{{- $labels = printf "%s=%s" $key $value | append $labels }}
{{- end }}
- {{ printf "--agent-node-selector=%s" (join "," $labels) | quote }}
{{- end }}
{{- if not (kindIs "invalid" .tolerations) }}
- {{ printf "--agent-tolerations=%s" (toJson .tolerations) | quote }}
{{- end }}
{{- if not (kindIs "invalid" .resources) }}
- {{ printf "--agent-resources=%s" (toJson .resources) | quote }}
{{- end }}
{{- with .priorityClassName }}
- {{ printf "--agent-priority-class-name=%s" . | quote }}
{{- end }}
{{- with .podAnnotations }}
- {{ printf "--agent-pod-annotations=%s" (toJson . | replace "$" "$$") | quote }} {{- /* kubelet reads $$ as $ */}}
{{- end }}
{{- with .updateStrategy }}
{{- $unavailable := dig "rollingUpdate" "maxUnavailable" 0 . | toString }}
{{- if not (has $unavailable (list "0" "0%")) }}
{{- printf "agent.updateStrategy.rollingUpdate.maxUnavailable is %s: it can only be 0, because a node without its agent cannot pull from blocked sources; set agent.updateStrategy.rollingUpdate.maxSurge instead, with which the old agent stays until the new one is ready" $unavailable | fail }}
{{- end }}
{{- if and .rollingUpdate (eq (.type | default "") "OnDelete") }}
{{- fail "agent.updateStrategy has type OnDelete and a rollingUpdate: remove one of them" }}
{{- end }}
- {{ printf "--agent-update-strategy=%s" (toJson .) | quote }}
{{- end }}
{{- end }}

{{- /* The manager's environment. */ -}}
{{- define "mirrorset.environment" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with include "mirrorset.proxy" .Values.proxy | trim }}
{{ . }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The proxy, which the manager passes to the agents. Neither reaches the API server through it; kubelet fills in the API server's address. */ -}}
{{- define "mirrorset.proxy" -}}
{{- with .httpProxy }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .httpsProxy }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if or .httpProxy .httpsProxy }}
- name: NO_PROXY
  value: {{ list "$(KUBERNETES_SERVICE_HOST)" .noProxy | compact | join "," | quote }}
{{- end }}
{{- end }}
