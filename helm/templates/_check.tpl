{{/*
What the schema cannot say: values that need or exclude each other. Like the processes, it tells of all faults at once.
*/}}
{{- define "flux-dispatch.faults" -}}
{{- $redis := .Values.redis }}
{{- if and $redis.url $redis.trial.enabled }}
- redis.url and redis.trial.enabled exclude each other: remove one of them
{{- else if not (or $redis.url $redis.trial.enabled) }}
- redis.url is missing: name your Redis, such as redis://redis.databases:6379, or set redis.trial.enabled=true to try flux-dispatch out
{{- end }}
{{- if regexMatch "^[a-z-]+://[^@]*:[^@]+@" $redis.url }}
- redis.url must not hold a password: put it into a Secret and name that in redis.passwordSecret
{{- end }}
{{- if and $redis.trial.enabled $redis.passwordSecret.name }}
- redis.passwordSecret does not go with redis.trial, which has no password
{{- end }}
{{- if and $redis.trial.enabled (not (include "flux-dispatch.redis.maxmemory" .)) }}
- redis.trial.resources.limits.memory must be a whole number with or without a unit, such as 256Mi: maxmemory is 75 % of it
{{- end }}
{{- if not (or .Values.ingest.hmacSecret.name .Values.ingest.allowUnsigned) }}
- ingest.hmacSecret.name is missing: the Secret with the token that Flux signs with
{{- end }}
{{- with .Values.ingest.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
- ingest.autoscaling.minReplicas must not be greater than maxReplicas
{{- end }}
{{- end }}
{{- if not .Values.dispatcher.dryRun }}
{{- if not .Values.dispatcher.github.appId }}
- dispatcher.github.appId is missing: the id of the GitHub App, unless dispatcher.dryRun=true
{{- end }}
{{- if not .Values.dispatcher.github.privateKeySecret.name }}
- dispatcher.github.privateKeySecret.name is missing: the Secret with the App's private key, unless dispatcher.dryRun=true
{{- end }}
{{- end }}
{{- if .Values.board.enabled }}
{{- with .Values.board.auth }}
{{- if and (eq .mode "basic") (not .passwordSecret.name) }}
- board.auth.passwordSecret.name is missing: the Secret with the password of board.auth.username
{{- end }}
{{- if and (eq .mode "proxy") (not .proxyUserHeader) }}
- board.auth.proxyUserHeader is missing: the header in which the proxy names the user
{{- end }}
{{- if and (eq .mode "proxy") (not .trustedProxies) }}
- board.auth.trustedProxies is missing: the addresses of the proxy
{{- end }}
{{- end }}
{{- if and .Values.board.ingress.enabled (not .Values.board.ingress.host) }}
- board.ingress.host is missing
{{- end }}
{{- if and .Values.board.ingress.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.boardNamespaces) }}
- networkPolicy.boardNamespaces is empty: with board.ingress it must name the namespace of the ingress controller
{{- end }}
{{- end }}
{{- $taken := list }}
{{- range list "ingest" "board" "redis" "metrics" }}
{{- $taken = append $taken (printf "%s-%s" (include "flux-dispatch.fullname" $) .) }}
{{- end }}
{{- range .Values.ingest.service.aliases }}
{{- if has .name $taken }}
- ingest.service.aliases names {{ .name }} twice, or it is the name of a Service that the chart has anyway
{{- end }}
{{- $taken = append $taken .name }}
{{- end }}
{{- $alerts := .Files.Get "files/alerts.yaml" }}
{{- range .Values.monitoring.prometheusRule.disabled }}
{{- if not (contains (printf "- alert: %s\n" .) $alerts) }}
- monitoring.prometheusRule.disabled names {{ . }}, and there is no such alert
{{- end }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled }}
- monitoring.podMonitor and monitoring.serviceMonitor exclude each other: with both, every count is double
{{- end }}
{{- end }}
