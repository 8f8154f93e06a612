{{/* What every pod has, as the user of a number. Takes a list of the context and the number. */}}
{{- define "flux-dispatch.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "flux-dispatch.serviceAccountName" $root | quote }}
automountServiceAccountToken: false
# Variables that Kubernetes would add for every Service of the namespace.
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 1 }}
  runAsGroup: {{ index . 1 }}
  # Secrets and volumes are readable for this group alone.
  fsGroup: {{ index . 1 }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* What every container has. */}}
{{- define "flux-dispatch.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Where a pod may run, by the values of a process. */}}
{{- define "flux-dispatch.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}
