{{/*
What ingest, dispatcher and board have in common. Each takes a list of the context and the component; what a component has
of its own it gives in two templates:

  flux-dispatch.<component>.env      its environment, as YAML
  flux-dispatch.<component>.files    the Secrets that it reads as files, as a YAML list of variable, file, name, key
*/}}

{{- define "flux-dispatch.secretsFolder" -}}
/etc/flux-dispatch/secrets
{{- end }}

{{/* The Secrets that a process reads as files, those of its Redis included. */}}
{{- define "flux-dispatch.files" -}}
{{- $root := index . 0 -}}
{{- include (printf "flux-dispatch.%s.files" (index . 1)) $root }}
{{- with $root.Values.redis.passwordSecret }}{{ if .name }}
- { variable: REDIS_PASSWORD_PATH, file: redis-password, name: {{ .name | quote }}, key: {{ .key | quote }} }
{{- end }}{{ end }}
{{- with $root.Values.redis.caSecret }}{{ if .name }}
- { variable: REDIS_CA_PATH, file: redis-ca.crt, name: {{ .name | quote }}, key: {{ .key | quote }} }
{{- end }}{{ end }}
{{- end }}

{{/* The whole environment of a process. It holds no secret, only where they are. */}}
{{- define "flux-dispatch.env" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
LOG_LEVEL: {{ $root.Values.logLevel }}
METRICS_ADDR: ":9090"
QUEUE_PREFIX: {{ $root.Values.redis.queuePrefix | quote }}
REDIS_URL: {{ if $root.Values.redis.trial.enabled }}redis://{{ include "flux-dispatch.fullname" $root }}-redis:6379{{ else }}{{ $root.Values.redis.url | quote }}{{ end }}
SHUTDOWN_TIMEOUT: {{ printf "%vs" $root.Values.shutdownTimeoutSeconds | quote }}
{{- include (printf "flux-dispatch.%s.env" $component) $root }}
{{- range include "flux-dispatch.files" . | fromYamlArray }}
{{ .variable }}: {{ include "flux-dispatch.secretsFolder" $root }}/{{ .file }}
{{- end }}
{{- range $name, $value := (index $root.Values $component).config }}
{{ $name }}: {{ include "flux-dispatch.text" $value | quote }}
{{- end }}
{{- end }}

{{- define "flux-dispatch.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "flux-dispatch.metadata" . | nindent 2 }}
data:
  {{- include "flux-dispatch.env" . | nindent 2 }}
{{- end }}

{{- define "flux-dispatch.deployment" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $preStopSeconds := $values.preStopSeconds | default 0 | int -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "flux-dispatch.metadata" . | nindent 2 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false $values) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "flux-dispatch.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "flux-dispatch.podLabels" . | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # A changed ConfigMap rolls the pods, which read their environment at start only.
        checksum/config: {{ include "flux-dispatch.env" . | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "flux-dispatch.pod" (list $root 65532) | nindent 6 }}
      # SIGTERM comes after preStop, and within SHUTDOWN_TIMEOUT of it the process is gone. 5 s are for a busy node.
      terminationGracePeriodSeconds: {{ add $preStopSeconds $root.Values.shutdownTimeoutSeconds 5 }}
      containers:
        - name: {{ $component }}
          image: {{ include "flux-dispatch.image" . | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ $component }}]
          envFrom:
            - configMapRef:
                name: {{ include "flux-dispatch.fullname" $root }}-{{ $component }}
          {{- with $values.extraEnv }}
          env:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- with include (printf "flux-dispatch.%s.ports" $component) $root | trim }}
            {{- . | nindent 12 }}
            {{- end }}
            - name: metrics
              containerPort: 9090
          startupProbe:
            httpGet:
              path: /healthz
              port: metrics
            periodSeconds: 2
            failureThreshold: 30
          livenessProbe:
            httpGet:
              path: /healthz
              port: metrics
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          # Its Redis answers, and it is not shutting down.
          readinessProbe:
            httpGet:
              path: /readyz
              port: metrics
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          {{- if $preStopSeconds }}
          # Until its address is gone from every proxy of the cluster, requests still come.
          lifecycle:
            preStop:
              sleep:
                seconds: {{ $preStopSeconds }}
          {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- include "flux-dispatch.confined" . | nindent 10 }}
          {{- if include "flux-dispatch.files" . | fromYamlArray }}
          volumeMounts:
            # The folder, not single files with subPath: those would not follow a changed Secret.
            - name: secrets
              mountPath: {{ include "flux-dispatch.secretsFolder" $root }}
              readOnly: true
          {{- end }}
      {{- with include "flux-dispatch.files" . | fromYamlArray }}
      volumes:
        - name: secrets
          projected:
            # 0440. Not every reader of YAML takes that for octal.
            defaultMode: 288
            sources:
              {{- range . }}
              - secret:
                  name: {{ .name | quote }}
                  items:
                    - key: {{ .key | quote }}
                      path: {{ .file }}
              {{- end }}
      {{- end }}
      topologySpreadConstraints:
        {{- if $values.topologySpreadConstraints }}
        {{- toYaml $values.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "flux-dispatch.selectorLabels" $ | nindent 14 }}
          # The pods of one rollout, or old ones would count while it lasts.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
        {{- end }}
      {{- include "flux-dispatch.scheduling" $values | nindent 6 }}
{{- end }}

{{/* Takes a list of the context and the component, as every template here. */}}
{{- define "flux-dispatch.podDisruptionBudget" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- if $values.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "flux-dispatch.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # Pods that are not ready, as while Redis is away, must not hold up a drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "flux-dispatch.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* A Service in front of one process. */}}
{{- define "flux-dispatch.service" -}}
{{- $service := (index (index . 0).Values (index . 1)).service -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "flux-dispatch.metadata" . | nindent 2 }}
  {{- with $service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- include "flux-dispatch.servicePort" (list . $service.port) | nindent 2 }}
{{- end }}

{{/* Which pods a Service leads to, and from which port. Takes a list of the context and component, and the port. */}}
{{- define "flux-dispatch.servicePort" -}}
selector:
  {{- include "flux-dispatch.selectorLabels" (index . 0) | nindent 2 }}
ports:
  - name: http
    port: {{ index . 1 }}
    targetPort: http
{{- end }}
