{{/* Ends of a network rule. */}}

{{/* Pods of the platform by component. Takes (dict "root" $ "components" LIST). */}}
{{- define "leadline.peer.platform" -}}
namespaceSelector:
  matchLabels: {kubernetes.io/metadata.name: {{ .root.Release.Namespace }}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: {{ include "leadline.name" .root }}
    app.kubernetes.io/instance: {{ .root.Release.Name }}
  matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{/* Pods that the operator made, in every trader namespace. Takes (dict "root" $ "components" LIST). */}}
{{- define "leadline.peer.traders" -}}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values:
    {{- range .root.Values.namespaces }}
    - {{ .name }}
    {{- end }}
podSelector:
  {{- include "leadline.traderPods" . | nindent 2 }}
{{- end }}

{{/* Selector of Pods that the operator made. Takes (dict "components" LIST). */}}
{{- define "leadline.traderPods" -}}
matchLabels: {app.kubernetes.io/managed-by: leadline-operator}
{{- with .components }}
matchExpressions:
- {key: app.kubernetes.io/component, operator: In, values: {{ toJson . }}}
{{- end }}
{{- end }}

{{/* Egress to names, as list items. */}}
{{- define "leadline.egress.dns" -}}
- to:
  - namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: {{ .Values.networkPolicies.dns.namespace }}}
    podSelector:
      matchLabels: {{- toYaml .Values.networkPolicies.dns.podLabels | nindent 8 }}
  {{- range .Values.networkPolicies.dns.cidrs }}
  - ipBlock: {cidr: {{ . }}}
  {{- end }}
  ports:
  - {protocol: UDP, port: 53}
  - {protocol: TCP, port: 53}
{{- end }}

{{/* Egress to addresses outside, as list items; nothing when there are none. Takes (dict "cidrs" LIST "ports" LIST). */}}
{{- define "leadline.egress.cidrs" -}}
{{- if .cidrs }}
- to:
  {{- range .cidrs }}
  - ipBlock: {cidr: {{ . }}}
  {{- end }}
  ports:
  {{- range .ports }}
  - {protocol: TCP, port: {{ . | int }}}
  {{- end }}
{{- end }}
{{- end }}

{{- define "leadline.egress.nats" -}}
{{- if eq .Values.nats.mode "bundled" -}}
- to:
  - {{- include "leadline.peer.platform" (dict "root" . "components" (list "nats")) | nindent 4 }}
  ports: [{protocol: TCP, port: 4222}]
{{- else -}}
{{- include "leadline.egress.cidrs" (dict "cidrs" .Values.networkPolicies.natsCidrs "ports" .Values.networkPolicies.natsPorts) -}}
{{- end -}}
{{- end }}

{{- define "leadline.egress.database" -}}
{{- if eq .Values.postgresql.mode "bundled" -}}
- to:
  - {{- include "leadline.peer.platform" (dict "root" . "components" (list "postgresql")) | nindent 4 }}
  ports: [{protocol: TCP, port: 5432}]
{{- else -}}
{{- include "leadline.egress.cidrs" (dict "cidrs" .Values.networkPolicies.databaseCidrs "ports" .Values.networkPolicies.databasePorts) -}}
{{- end -}}
{{- end }}

{{/* Egress of traces, where they go to a collector in the cluster. */}}
{{- define "leadline.egress.traces" -}}
{{- if and .Values.monitoring.otlpEndpoint .Values.monitoring.namespace -}}
- to:
  - namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: {{ .Values.monitoring.namespace }}}
  ports: [{protocol: TCP, port: 4317}]
{{- end -}}
{{- end }}

{{/* Ingress of a collector's scrapes. */}}
{{- define "leadline.ingress.metrics" -}}
{{- with .Values.monitoring.namespace -}}
- from:
  - namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: {{ . }}}
  ports: [{protocol: TCP, port: 9100}]
{{- end -}}
{{- end }}

{{/* Head of a policy. Takes (dict "root" $ "name" NAME "namespace" NAME). */}}
{{- define "leadline.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "leadline.labels" (dict "root" .root "component" "network") | nindent 4 }}
{{- end }}
