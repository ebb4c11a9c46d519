{{- /* The manager's arguments: the settings that are not left to it. */ -}}
{{- define "mirrorset.arguments" -}}
- --leader-elect
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
{{- with .Values.agentNodeSelector }}
{{- $labels := list }}
{{- range $key, $value := . }}
{{- $labels = printf "%s=%s" $key $value | append $labels }}
{{- end }}
- {{ printf "--agent-node-selector=%s" (join "," $labels) | quote }}
{{- end }}
{{- if not (kindIs "invalid" .Values.agentTolerations) }}
- {{ printf "--agent-tolerations=%s" (toJson .Values.agentTolerations) | quote }}
{{- end }}
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
{{- if or .Values.agentMetrics.enabled .Values.serviceMonitor.enabled }}
- --agent-metrics-bind-address=:290
{{- end }}
{{- end }}

{{- /* The proxy, which the manager hands on to the agents. Neither may reach the API server by it, whose address kubelet fills in. */ -}}
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
