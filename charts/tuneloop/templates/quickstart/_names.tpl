{{- define "tuneloop.quickstart.redis.secret" -}}
{{ .Values.quickstart.redis.existingSecret | default (printf "%s-redis" .Values.quickstart.name) }}
{{- end }}

{{- /* The claims, and so the pvc:// stores. */}}
{{- define "tuneloop.quickstart.adapters" -}}
{{ .Values.quickstart.name }}-adapters
{{- end }}
{{- define "tuneloop.quickstart.datasets" -}}
{{ .Values.quickstart.name }}-datasets
{{- end }}
