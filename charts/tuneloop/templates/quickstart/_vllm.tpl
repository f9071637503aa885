{{- /*
With engine: vllm, what runs before and beside the server, which then only keeps the door. A sidecar: it is there before the server
asks for it, and until the server's last answer has ended. It listens on the pod's loopback: its routes change what is served, so
only the server may call them.
*/}}
{{- define "tuneloop.quickstart.vllm" -}}
{{- $quick := .Values.quickstart }}
{{- $vllm := $quick.vllm -}}
- name: model # the server's image holds it, and vLLM's does not
  image: {{ include "tuneloop.image" (dict "root" . "name" "server") }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [cp, -R, {{ $quick.model.path }}/., /model]
  resources:
    requests: {cpu: 50m, memory: 64Mi}
    limits: {memory: 256Mi}
  securityContext:
    {{- include "tuneloop.containerSecurity" . | nindent 4 }}
  volumeMounts:
  - {name: model, mountPath: /model}
- name: vllm
  restartPolicy: Always
  image: {{ required "quickstart.vllm.image: needed when quickstart.engine is vllm; vllm/vllm-openai with a tag, or one of your own" $vllm.image }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
  - python3
  - -m
  - vllm.entrypoints.openai.api_server
  - --host=127.0.0.1
  - --port=8100
  - --model={{ $quick.model.path }}
  - --disable-uvicorn-access-log # the server looks at it every second, and logs requests itself
  - --enable-lora
  - --max-lora-rank={{ $vllm.maxLoraRank | int64 }}
  - --max-loras={{ $vllm.maxLoras | int64 }}
  {{- range $vllm.extraArgs }}
  - {{ . | quote }}
  {{- end }}
  env:
  - {name: VLLM_ALLOW_RUNTIME_LORA_UPDATING, value: "True"}
  - {name: VLLM_NO_USAGE_STATS, value: "1"}
  - {name: HF_HUB_OFFLINE, value: "1"}
  - {name: HOME, value: /tmp}
  - {name: USER, value: tuneloop} # the image knows no user of this number, and torch asks for a name
  startupProbe: # by exec, since the kubelet does not reach a pod's loopback; reading, compiling and warming up a large model takes long
    exec: {command: &healthy [python3, -c, "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8100/health', timeout=5)"]}
    periodSeconds: 5
    timeoutSeconds: 10
    failureThreshold: 360
  livenessProbe:
    exec: {command: *healthy}
    periodSeconds: 20
    timeoutSeconds: 15
    failureThreshold: 6
  resources:
    {{- toYaml $vllm.resources | nindent 4 }}
  securityContext:
    {{- include "tuneloop.containerSecurity" . | nindent 4 }}
  volumeMounts:
  - {name: model, mountPath: {{ $quick.model.path }}, readOnly: true}
  - {name: vllm-adapters, mountPath: {{ include "tuneloop.quickstart.vllm.adapters" . }}, readOnly: true}
  - {name: vllm-tmp, mountPath: /tmp}
  - {name: vllm-shm, mountPath: /dev/shm}
{{- end }}

{{- define "tuneloop.quickstart.vllm.volumes" -}}
- {name: model, emptyDir: {}}
- {name: vllm-adapters, emptyDir: {}}
- {name: vllm-tmp, emptyDir: {}}
- {name: vllm-shm, emptyDir: {medium: Memory}} # its processes talk through it; counts as the container's memory
{{- end }}

{{- /* Where the server writes adapters and vLLM reads them. */}}
{{- define "tuneloop.quickstart.vllm.adapters" -}}
/var/lib/tuneloop/vllm
{{- end }}
