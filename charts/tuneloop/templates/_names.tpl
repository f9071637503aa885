{{- /* A Service's name: it begins with a letter and holds no dot, while a release's may. */}}
{{- define "tuneloop.fullname" -}}
{{- $release := .Release.Name | replace "." "-" }}
{{- $name := contains .Chart.Name $release | ternary $release (printf "%s-%s" $release .Chart.Name) }}
{{- regexMatch "^[0-9]" $name | ternary (printf "%s-%s" .Chart.Name $release) $name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "tuneloop.operator" -}}
{{ include "tuneloop.fullname" . }}-operator
{{- end }}

{{- /* What no namespace holds, of one namespace's release: another of its name may be in another. {root, name} */}}
{{- define "tuneloop.clusterwide" -}}
{{ include "tuneloop.fullname" .root }}-{{ .name }}.{{ .root.Release.Namespace }}
{{- end }}

{{- /* Every label of an object: {root, component}. */}}
{{- define "tuneloop.labels" -}}
{{ include "tuneloop.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tuneloop
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- /* Those that never change: {root, component}. */}}
{{- define "tuneloop.selector" -}}
app.kubernetes.io/name: tuneloop
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* The image of one component: {root, name}. */}}
{{- define "tuneloop.image" -}}
{{- $name := index .root.Values.image.names .name -}}
{{ .root.Values.image.registry }}/{{ $name }}{{ if not (contains "@" $name) }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "tuneloop.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
