{{/* Names, labels, addresses: what every template agrees on. */}}

{{- define "leadline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Prefix of every object of the platform. 40 characters leave room for the longest suffix in a DNS label. */}}
{{- define "leadline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "leadline.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels that never change for a component: what selectors may use. Takes (dict "root" $ "component" NAME). */}}
{{- define "leadline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "leadline.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels of an object. Takes (dict "root" $ "component" NAME). */}}
{{- define "leadline.labels" -}}
{{ include "leadline.selectorLabels" . }}
app.kubernetes.io/part-of: leadline
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of a Pod: without versions, so that a new chart alone starts nothing again. Takes (dict "root" $ "component" NAME). */}}
{{- define "leadline.podLabels" -}}
{{ include "leadline.selectorLabels" . }}
app.kubernetes.io/part-of: leadline
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leadline.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Host of one of the platform's Services. Takes (dict "root" $ "component" NAME). */}}
{{- define "leadline.host" -}}
{{ include "leadline.fullname" .root }}-{{ .component }}.{{ .root.Release.Namespace }}.svc
{{- end }}

{{- define "leadline.nats.url" -}}
{{- if eq .Values.nats.mode "bundled" -}}
nats://{{ include "leadline.host" (dict "root" . "component" "nats") }}:4222
{{- else -}}
{{ .Values.nats.external.url }}
{{- end -}}
{{- end }}

{{/* The database as one of its roles: postgresql://role@host/name. Takes (dict "root" $ "role" NAME). */}}
{{- define "leadline.database.url" -}}
{{- $values := .root.Values.postgresql -}}
{{- if eq $values.mode "bundled" -}}
postgresql://{{ .role }}@{{ include "leadline.host" (dict "root" .root "component" "postgresql") }}:5432/leadline
{{- else -}}
{{- $url := urlParse $values.external.url -}}
{{- urlJoin (dict "scheme" "postgresql" "userinfo" .role "host" $url.host "path" $url.path "query" $url.query) -}}
{{- end -}}
{{- end }}

{{/* The role that owns the schema and makes the others. */}}
{{- define "leadline.database.owner" -}}
{{- if eq .Values.postgresql.mode "bundled" -}}postgres{{- else -}}{{ .Values.postgresql.external.owner }}{{- end -}}
{{- end }}

{{/* An amount of storage (20Gi, 500M) in bytes. */}}
{{- define "leadline.bytes" -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- $text := toString . -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexReplaceAll "^[0-9.]+" $text "")) -}}
{{- end }}

{{/* Names of the platform's Secrets: not those of a trader namespace, which may be the same namespace. */}}
{{- define "leadline.nats.secret" -}}
{{- .Values.nats.existingSecret | default (printf "%s-platform-nats" (include "leadline.fullname" .)) -}}
{{- end }}

{{- define "leadline.database.secret" -}}
{{- .Values.postgresql.existingSecret | default (printf "%s-platform-database" (include "leadline.fullname" .)) -}}
{{- end }}

{{- define "leadline.token.secret" -}}
{{- .Values.token.existingSecret | default (printf "%s-platform-token" (include "leadline.fullname" .)) -}}
{{- end }}

{{/* The certificate of the platform's services. Trader namespaces have theirs in `leadline-tls`. */}}
{{- define "leadline.tls.secret" -}}
{{- .Values.tls.secretName | default (printf "%s-platform-tls" (include "leadline.fullname" .)) -}}
{{- end }}

{{- define "leadline.priorityClass" -}}
{{- if .root.Values.priorityClasses.create }}
priorityClassName: leadline-{{ .class }}
{{- end }}
{{- end }}
