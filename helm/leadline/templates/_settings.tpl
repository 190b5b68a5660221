{{/* Settings files of the services, as JSON. */}}

{{/* What every service is told, as a YAML map. Takes (dict "root" $ "service" NAME "nats" BOOL "database" ROLE "token" KEY). */}}
{{- define "leadline.settings" -}}
service: {{ .service }}
workload: {{ .service }}
listen: "0.0.0.0:9090"
health_listen: "0.0.0.0:9091"
metrics_listen: "0.0.0.0:9100"
connection_age: {seconds: 300, grace_seconds: 30}
data_dir: /var/lib/leadline
{{- if include "leadline.instruments" .root }}
instruments_file: /etc/leadline-instruments
{{- end }}
token_key_file: /etc/leadline/secrets/token/{{ .token | default .service }}
{{- if .nats }}
nats:
  servers: [{{ include "leadline.nats.url" .root | quote }}]
  user: {{ .service }}
  password_file: /etc/leadline/secrets/nats/{{ .service }}
{{- end }}
{{- with .database }}
database:
  url: {{ include "leadline.database.url" (dict "root" $.root "role" (printf "leadline_%s" .)) | quote }}
  password_file: /etc/leadline/secrets/database/{{ . }}
{{- end }}
{{- if ne .root.Values.tls.mode "none" }}
tls:
  certificate_file: /etc/leadline/secrets/tls/tls.crt
  key_file: /etc/leadline/secrets/tls/tls.key
  ca_file: /etc/leadline/secrets/tls/ca.crt
{{- end }}
{{- end }}

{{/* What names the instruments of one's own, as JSON; empty where there are none. */}}
{{- define "leadline.instruments" -}}
{{- with .Values.ownInstruments -}}
{{- if or .instruments .calendars .existingConfigMap -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The feed as the platform's plan knows it, as a YAML map. */}}
{{- define "leadline.feed" -}}
kind: {{ .Values.feed.kind }}
seed: {{ .Values.feed.seed | int64 }}
sessions: {{ .Values.feed.sessions | int64 }}
files: {{ toJson .Values.feed.files }}
max_kept_out_percent: {{ .Values.feed.maxKeptOutPercent | toString | quote }}
mode: {{ .Values.feed.mode }}
kinds: {{ toJson .Values.feed.kinds }}
shift: {{ .Values.feed.shift }}
clock_rate: {{ .Values.feed.clockRate | int64 }}
{{- end }}


{{- define "leadline.ingestion.settings" -}}
{{- $settings := include "leadline.settings" (dict "root" . "service" "ingestion" "nats" true "database" "ingestion") | fromYaml -}}
{{- $feed := include "leadline.feed" . | fromYaml -}}
{{- $files := list -}}
{{- range .Values.feed.files -}}
{{- $files = append $files (dict "path" (printf "/feed/%s" .name) "contract" .contract) -}}
{{- end -}}
{{- $_ := set $feed "files" $files -}}
{{- if eq .Values.feed.kind "catalog" -}}
{{- $_ := set $feed "catalog" (trimSuffix "/" (printf "/feed/%s" .Values.feed.folder)) -}}
{{- end -}}
{{- $params := dict
  "feed" $feed
  "instruments" .Values.feed.instruments
  "trade_from" (ternary nil .Values.feed.tradeFrom (empty .Values.feed.tradeFrom))
  "history" (.Values.feed.history | int64)
  "speed" .Values.feed.speed
  "wait_for" (.Values.feed.waitFor | int64)
  "launch" .Values.feed.launch
  "adopt_unfinished" false
-}}
{{- toPrettyJson (set $settings "params" $params) -}}
{{- end }}

{{- define "leadline.aggregation.settings" -}}
{{- include "leadline.settings" (dict "root" . "service" "aggregation" "nats" true "database" "aggregation") | fromYaml | toPrettyJson -}}
{{- end }}

{{- define "leadline.recorder.settings" -}}
{{- include "leadline.settings" (dict "root" . "service" "recorder" "nats" true "database" "recorder") | fromYaml | toPrettyJson -}}
{{- end }}

{{- define "leadline.risk.settings" -}}
{{- include "leadline.settings" (dict "root" . "service" "risk") | fromYaml | toPrettyJson -}}
{{- end }}

{{- define "leadline.operator.settings" -}}
{{- $settings := include "leadline.settings" (dict "root" . "service" "operator" "database" "supervisor" "token" "master") | fromYaml -}}
{{- $ingestion := printf "%s:9090" (include "leadline.host" (dict "root" . "component" "ingestion")) -}}
{{- $namespaces := list -}}
{{- range .Values.namespaces -}}
{{- $namespaces = append $namespaces .name -}}
{{- end -}}
{{- $platform := dict
  "feed" (include "leadline.feed" . | fromYaml)
  "trade_from" (ternary nil .Values.feed.tradeFrom (empty .Values.feed.tradeFrom))
  "speed" .Values.feed.speed
-}}
{{- $nats := dict "servers" (list (include "leadline.nats.url" .)) -}}
{{- if eq .Values.nats.mode "bundled" -}}
{{- $_ := set $nats "monitor" (printf "%s:8222" (include "leadline.host" (dict "root" . "component" "nats"))) -}}
{{- end -}}
{{- $params := dict
  "namespace" .Release.Namespace
  "namespaces" $namespaces
  "lease" "leadline-operator"
  "image" (include "leadline.image" .)
  "image_pull_policy" .Values.image.pullPolicy
  "image_pull_secrets" .Values.image.pullSecrets
  "platform" $platform
  "peers" (dict "risk" (printf "%s:9090" (include "leadline.host" (dict "root" . "component" "risk"))) "ingestion" $ingestion)
  "nats" $nats
  "database_url" (include "leadline.database.url" (dict "root" . "role" "leadline_execution"))
  "storage" (dict "class" .Values.accountVolumes.storageClass "size" .Values.accountVolumes.size "access_mode" .Values.accountVolumes.accessMode)
  "backtest_resources" .Values.backtests.resources
  "tls" (ne .Values.tls.mode "none")
  "priority_classes" .Values.priorityClasses.create
  "otlp_endpoint" .Values.monitoring.otlpEndpoint
-}}
{{- $_ := set $settings "peers" (dict "ingestion" $ingestion) -}}
{{- toPrettyJson (set $settings "params" $params) -}}
{{- end }}

{{/* The users of the bus, as JSON: the platform's services and those of each trader namespace. */}}
{{- define "leadline.users" -}}
{{- $users := list "ingestion" "aggregation" "recorder" "supervisor" "migrate" -}}
{{- range $namespace := .Values.namespaces -}}
{{- range list "analysis" "execution" "venue" -}}
{{- $users = append $users (printf "%s-%s" . $namespace.name) -}}
{{- end -}}
{{- end -}}
{{- toJson $users -}}
{{- end }}

{{/* The keys of the database's Secret, as JSON: the owner and a login for each service. */}}
{{- define "leadline.roles" -}}
{{- toJson (list "owner" "ingestion" "aggregation" "recorder" "execution" "supervisor" "reader") -}}
{{- end }}

{{- define "leadline.nats.settings" -}}
{{- toPrettyJson (dict
  "listen" "0.0.0.0:4222"
  "monitor_listen" "0.0.0.0:8222"
  "data_dir" "/var/lib/leadline"
  "users_dir" "/etc/leadline/secrets/nats"
  "max_store_bytes" (.Values.nats.maxStoreBytes | int64)
) -}}
{{- end }}

{{- define "leadline.postgresql.settings" -}}
{{- toPrettyJson (dict
  "listen" "0.0.0.0:5432"
  "data_dir" "/var/lib/leadline"
  "superuser_password_file" "/etc/leadline/secrets/database/owner"
  "shared_buffers_mb" (.Values.postgresql.sharedBuffersMb | int64)
  "max_connections" (.Values.postgresql.maxConnections | int64)
) -}}
{{- end }}

{{/* Arguments of the init containers. Both commands wait for their server, do nothing twice and may run side by side. */}}
{{- define "leadline.migrate.database" -}}
- db
- migrate
- --dsn
- {{ include "leadline.database.url" (dict "root" . "role" (include "leadline.database.owner" .)) | quote }}
- --password-file
- /etc/leadline/secrets/database/owner
{{- if eq .Values.postgresql.mode "bundled" }}
- --create
{{- end }}
{{- if or (eq .Values.postgresql.mode "bundled") .Values.postgresql.external.createRoles }}
- --role-passwords
- /etc/leadline/secrets/database
{{- end }}
{{- end }}

{{- define "leadline.migrate.bus" -}}
- bus
- migrate
- --url
- {{ include "leadline.nats.url" . | quote }}
- --password-file
- /etc/leadline/secrets/nats/migrate
- --replicas
- {{ .Values.nats.streamReplicas | quote }}
{{- if eq .Values.feed.mode "live" }}
- --live
{{- end }}
{{- end }}
