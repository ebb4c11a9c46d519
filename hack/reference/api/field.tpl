{{- /* The fields of a type, each with the path that kubectl explain takes. */ -}}
{{- define "fields" -}}
{{- $path := .path -}}
{{- range .type.Members -}}
{{- if not (or .Inlined (has .Name (list "apiVersion" "kind" "metadata"))) }}
### {{ $path }}.{{ .Name }}

{{ template "facts" . }}

{{ template "doc" .Doc }}
{{ template "nested" (dict "path" (printf "%s.%s" $path .Name) "type" .Type) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What a field has below it: the fields of an object, the values of an enum, or the form of a string. */ -}}
{{- define "nested" -}}
{{- $type := .type -}}
{{- if $type.EnumValues }}
{{ range $type.EnumValues -}}
{{- $doc := printf "%s%s" .Name (regexReplaceAll "^[A-Za-z]+" (trim .Doc) "") -}}
- {{ template "doc" (replace "\n" "\n  " $doc) }}
{{ end -}}
{{- else if and (hasPrefix "k8s.io/" $type.Package) (eq $type.Name "Condition") }}
[Conditions](#conditions) lists the fields of each condition.
{{ else if hasPrefix "k8s.io/" $type.Package -}}
{{- else if eq $type.Name "ImageMirror" }}
{{ template "doc" $type.UnderlyingType.Doc }}
{{ else if not $type.IsBasic -}}
{{ template "fields" (dict "path" .path "type" $type) }}
{{- end -}}
{{- end -}}

{{- /* The type of a field, and its limits. */ -}}
{{- define "facts" -}}
{{- $needed := "optional" -}}
{{- $limits := list -}}
{{- $pattern := "" -}}
{{- range .Validation -}}
{{- if hasPrefix "Required" . -}}{{- $needed = "required" -}}
{{- else if hasPrefix "Pattern" . -}}{{- $pattern = trimPrefix "Pattern: " . | trimAll "`" -}}
{{- else if not (or (hasPrefix "Enum" .) (hasPrefix "Optional" .)) -}}{{- $limits = append $limits . -}}
{{- end -}}
{{- end -}}
Type: {{ template "typeName" .Type }}, {{ $needed }}
{{- range $limits }}, {{ template "limit" . }}{{ end -}}
{{- with trim .Default }}{{ if not (hasPrefix "{" .) }}, default {{ . }}{{ end }}{{ end -}}
.
{{- if $pattern }} {{ if eq (.Type.Kind | toJson) "\"SLICE\"" }}Each item{{ else }}The value{{ end }} matches this pattern:

```text
{{ $pattern }}
```
{{- end -}}
{{- end -}}

{{- /* A limit, from a marker such as "MaxLength: 128". */ -}}
{{- define "limit" -}}
{{- $number := regexFind "-?[0-9]+$" . -}}
{{- if eq . "MinLength: 1" }}not empty
{{- else if eq . "items:MinLength: 1" }}no empty items
{{- else if hasPrefix "items:MaxLength:" . }}items of up to {{ $number }} characters
{{- else if hasPrefix "MaxLength:" . }}up to {{ $number }} characters
{{- else if hasPrefix "MaxItems:" . }}up to {{ $number }} items
{{- else if hasPrefix "Minimum:" . }}at least {{ $number }}
{{- else }}{{ fail (printf "hack/reference/api has no words for the marker %q" .) }}
{{- end -}}
{{- end -}}

{{- define "typeName" -}}
{{- $name := .Name -}}
{{- if eq (.Kind | toJson) "\"SLICE\"" }}list of {{ if .UnderlyingType.IsBasic }}strings{{ else if .UnderlyingType.IsAlias }}strings{{ else }}objects{{ end -}}
{{- else if eq $name "Time" }}time (RFC 3339)
{{- else if has $name (list "int32" "int64") }}integer
{{- else if eq $name "bool" }}boolean
{{- else if or (eq $name "string") .IsAlias }}string
{{- else }}object
{{- end -}}
{{- end -}}

{{- /* A comment as Markdown: its lists lose their indent, and nothing in it means markup. */ -}}
{{- define "doc" -}}
{{- $text := . | replace "*" "\\*" | replace "<" "\\<" | replace ">" "\\>" -}}
{{- $text = regexReplaceAll "(?m)^  (- |  )" $text "${1}" -}}
{{- regexReplaceAll "^[A-Za-z]+" $text "`${0}`" -}}
{{- end -}}
