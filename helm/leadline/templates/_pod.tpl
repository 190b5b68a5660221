{{/* Parts of a Pod that are the same everywhere. */}}

{{/* The Pod's fields besides containers and volumes. Takes (dict "root" $ "values" SECTION "class" PRIORITY "account" NAME "token" BOOL "grace" SECONDS). */}}
{{- define "leadline.pod" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
serviceAccountName: {{ .account | default (include "leadline.fullname" .root) }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .grace | default 30 }}
{{- include "leadline.priorityClass" (dict "root" .root "class" .class) }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Image and confinement of a container. */}}
{{- define "leadline.container" -}}
image: {{ include "leadline.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "leadline.ports" -}}
ports:
- {name: grpc, containerPort: 9090}
- {name: health, containerPort: 9091}
- {name: metrics, containerPort: 9100}
{{- end }}

{{/* Liveness never asks for bus or database: a restart would not bring them back. Readiness does. */}}
{{- define "leadline.probes" -}}
startupProbe:
  grpc: {port: 9091, service: startup}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  grpc: {port: 9091, service: ""}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  grpc: {port: 9091, service: liveness}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* Environment of the services. */}}
{{- define "leadline.env" -}}
{{- with .Values.monitoring.otlpEndpoint }}
env:
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* Annotations of a Pod: a changed setting makes a new one. Takes (dict "root" $ "settings" TEXT "values" SECTION). */}}
{{- define "leadline.podAnnotations" -}}
checksum/settings: {{ sha256sum .settings }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leadline.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests: {storage: {{ .size }}}
{{- end }}
