{{- /* The labels of every object that tell whose it is; Pods have none of them, so that an upgrade of the chart alone replaces none. */ -}}
{{- define "mirrorset.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}
