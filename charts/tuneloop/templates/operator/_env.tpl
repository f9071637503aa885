{{- /* int64 and toJson: large and small numbers as people write them, never 3.024e+06 or 1e-05. */}}
{{- define "tuneloop.operator.env" -}}
{{- with .Values.settings -}}
- {name: ENABLE_FINE_TUNING, value: {{ .enableFineTuning | quote }}}
- {name: MIN_EXAMPLES_PER_DOMAIN, value: {{ .minExamplesPerDomain | int64 | quote }}}
- {name: TRAINING_DATA_DAYS, value: {{ .trainingDataDays | int64 | quote }}}
- {name: AUTO_TRAINING_INTERVAL, value: {{ .autoTrainingInterval | quote }}}
- {name: LORA_RANK, value: {{ .loraRank | int64 | quote }}}
- {name: LORA_ALPHA, value: {{ .loraAlpha | int64 | quote }}}
- {name: TRAINING_EPOCHS, value: {{ .trainingEpochs | int64 | quote }}}
- {name: LEARNING_RATE, value: {{ kindIs "string" .learningRate | ternary .learningRate (toJson .learningRate) | quote }}}
{{- end }}
- {name: WATCH_NAMESPACES, value: {{ join "," .Values.watchNamespaces | quote }}}
- {name: HARVEST_IMAGE, value: {{ include "tuneloop.image" (dict "root" . "name" "harvest") }}}
- {name: TRAINER_IMAGE, value: {{ include "tuneloop.image" (dict "root" . "name" "trainer") }}}
- {name: IMAGE_PULL_SECRETS, value: {{ join "," .Values.image.pullSecrets | quote }}}
- {name: IMAGE_PULL_POLICY, value: {{ .Values.image.pullPolicy }}}
- {name: PROGRESS_URL, value: "http://{{ include "tuneloop.operator" . }}.{{ .Release.Namespace }}.svc:8082"}
{{- end }}
