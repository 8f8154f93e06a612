{{/* The NetworkPolicy of one process: who may call it, where it may go. Takes a list of the context and the component. */}}
{{- define "flux-dispatch.networkPolicy" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $policy := $root.Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "flux-dispatch.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "flux-dispatch.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- $callers := include (printf "flux-dispatch.%s.from" $component) $root }}
    {{- $scrapers := include "flux-dispatch.fromNamespaces" (list $policy.monitoringNamespaces "metrics") }}
    {{- print $callers $scrapers | trim | default "[]" | nindent 4 }}
  egress:
    {{- include "flux-dispatch.to" (list $policy.dns.to $policy.dns.ports (list "UDP" "TCP")) | nindent 4 }}
    {{- if $root.Values.redis.trial.enabled }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "flux-dispatch.selectorLabels" (list $root "redis") | nindent 14 }}
      ports:
        - port: 6379
    {{- else }}
    {{- include "flux-dispatch.to" (list $policy.redis.to (include "flux-dispatch.redisPorts" $root | fromYamlArray) (list "TCP")) | nindent 4 }}
    {{- end }}
    {{- if and (eq $component "dispatcher") (not $root.Values.dispatcher.dryRun) }}
    {{- include "flux-dispatch.to" (list $policy.github.to (include "flux-dispatch.githubPorts" $root | fromYamlArray) (list "TCP")) | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Lets the pods of some namespaces in, at a named port. Without namespaces nobody: an empty `from` would be everybody. */}}
{{- define "flux-dispatch.fromNamespaces" -}}
{{- if index . 0 }}
- from:
    - namespaceSelector:
        matchExpressions:
          - key: kubernetes.io/metadata.name
            operator: In
            values: {{ toJson (index . 0) }}
  ports:
    - port: {{ index . 1 }}
{{- end }}
{{- end }}

{{/* Lets pods out. Takes a list of peers (none: everywhere), ports and protocols. */}}
{{- define "flux-dispatch.to" -}}
{{- $protocols := index . 2 -}}
- ports:
    {{- range $port := index . 1 }}
    {{- range $protocol := $protocols }}
    - port: {{ $port }}
      protocol: {{ $protocol }}
    {{- end }}
    {{- end }}
  {{- with index . 0 }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Host and port of a URL, or all of them. urlParse refuses a list of hosts. */}}
{{- define "flux-dispatch.authority" -}}
{{- regexReplaceAll "^[a-z-]+://([^/@]*@)?([^/?]*).*$" . "${2}" }}
{{- end }}

{{/* The ports of networkPolicy.redis, or else of redis.url: every host's own, and that of the servers behind Sentinel. */}}
{{- define "flux-dispatch.redisPorts" -}}
{{- $sentinel := hasPrefix "redis-sentinel:" .Values.redis.url -}}
{{- $ports := list -}}
{{- range include "flux-dispatch.authority" .Values.redis.url | splitList "," -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default (ternary "26379" "6379" $sentinel) | int) -}}
{{- end -}}
{{- if $sentinel -}}
{{- $ports = append $ports 6379 -}}
{{- end -}}
{{ .Values.networkPolicy.redis.ports | default ($ports | uniq) | toJson }}
{{- end }}

{{/* The ports of networkPolicy.github, or else of dispatcher.github.apiUrl. */}}
{{- define "flux-dispatch.githubPorts" -}}
{{- $url := .Values.dispatcher.github.apiUrl -}}
{{- $ownPort := include "flux-dispatch.authority" $url | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- $port := $ownPort | default (ternary "80" "443" (hasPrefix "http:" $url)) | int -}}
{{ .Values.networkPolicy.github.ports | default (list $port) | toJson }}
{{- end }}
