{{- define "flux-dispatch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the release, and the prefix of every object. Short enough for "-dispatcher" behind it. */}}
{{- define "flux-dispatch.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "flux-dispatch.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "flux-dispatch.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "flux-dispatch.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "flux-dispatch.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What a Service, a Deployment or a policy selects by. Takes a list of the context and a component. */}}
{{- define "flux-dispatch.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "flux-dispatch.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of a pod. They do not change with the chart's version, which would roll pods that stay as they are. */}}
{{- define "flux-dispatch.podLabels" -}}
{{ include "flux-dispatch.selectorLabels" . }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels of an object. Takes a list of the context and a component. */}}
{{- define "flux-dispatch.labels" -}}
{{- $root := index . 0 -}}
{{ include "flux-dispatch.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The metadata of an object. Takes a list of the context and a component; the object has the name of both. */}}
{{- define "flux-dispatch.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "flux-dispatch.fullname" $root }}-{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "flux-dispatch.labels" . | nindent 2 }}
{{- end }}

{{/* The image of a process: image, with what the process has of its own. Takes a list of the context and a component. */}}
{{- define "flux-dispatch.image" -}}
{{- $root := index . 0 -}}
{{- $own := (index $root.Values (index . 1)).image -}}
{{- /* The digest of image is not that of another tag. */}}
{{- $image := merge dict $own (ternary (omit $root.Values.image "digest") $root.Values.image (hasKey $own "tag")) -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* A number as it was written: Helm reads 1048576 as 1.048576e+06. */}}
{{- define "flux-dispatch.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}
