{{- define "tuneloop.quickstart.target" -}}
apiVersion: tuneloop.dev/v1alpha1
kind: InferenceTarget
metadata:
  name: {{ .Values.quickstart.name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tuneloop.labels" (dict "root" . "component" "target") | nindent 4 }}
spec:
  deploymentRef: {name: {{ .Values.quickstart.name }}}
  baseModel:
    name: {{ .Values.quickstart.model.name | quote }}
    uri: file://{{ .Values.quickstart.model.path }} # the trainer's image holds it too
  redis: {secretRef: {name: {{ include "tuneloop.quickstart.redis.secret" . }}}, mode: {{ .Values.quickstart.redis.mode }}}
  artifacts:
    adapters: {uri: pvc://{{ include "tuneloop.quickstart.adapters" . }}/adapters}
    datasets: {uri: pvc://{{ include "tuneloop.quickstart.datasets" . }}/datasets}
{{- end }}
