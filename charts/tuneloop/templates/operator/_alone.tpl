{{- /*
Two operators on one namespace undo each other's work. Every release says on its ClusterRole what it watches; one that would watch what
another does is refused. Where Helm meets no cluster (GitOps), nobody looks.
*/}}
{{- define "tuneloop.alone" -}}
{{- $mine := .Values.watchNamespaces }}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "").items }}
{{- $marks := .metadata.annotations | default dict }}
{{- $release := get $marks "meta.helm.sh/release-name" }}
{{- $namespace := get $marks "meta.helm.sh/release-namespace" }}
{{- $ours := and (eq $release $.Release.Name) (eq $namespace $.Release.Namespace) }}
{{- if and (hasKey $marks "tuneloop.dev/watches") (not $ours) (lookup "v1" "Namespace" "" $namespace) }}
{{- $theirs := get $marks "tuneloop.dev/watches" | splitList "," | compact }}
{{- if or (not $mine) (not $theirs) (ne (len (concat $mine $theirs | uniq)) (len (concat $mine $theirs))) }}
{{- fail (printf "watchNamespaces: release %s in namespace %s watches %s already; let each release watch namespaces of its own, and set crds.enabled=false in all but one" $release $namespace (join ", " $theirs | default "the whole cluster")) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
