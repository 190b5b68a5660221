{{/* Objects of a service of the platform: each of them is the same for every service. */}}

{{- define "leadline.service.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "leadline.fullname" .root }}-{{ .service }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "leadline.labels" (dict "root" .root "component" .service) | nindent 4 }}
data:
  settings.json: |
    {{- include (printf "leadline.%s.settings" .service) .root | nindent 4 }}
{{- end }}

{{- define "leadline.service.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "leadline.fullname" .root }}-{{ .service }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "leadline.labels" (dict "root" .root "component" .service) | nindent 4 }}
spec:
  selector: {{- include "leadline.selectorLabels" (dict "root" .root "component" .service) | nindent 4 }}
  ports:
  - {name: grpc, port: 9090, targetPort: grpc}
  - {name: health, port: 9091, targetPort: health}
  - {name: metrics, port: 9100, targetPort: metrics}
{{- end }}

{{/*
The Pod template of a service.
Takes (dict "root" $ "service" NAME "nats" USER "database" ROLE "token" KEY "class" PRIORITY "account" NAME "apiToken" BOOL "migrate" BOOL), names empty for what it does not use.
*/}}
{{- define "leadline.service.pod" -}}
{{- $values := get .root.Values .service -}}
metadata:
  labels: {{- include "leadline.podLabels" (dict "root" .root "component" .service) | nindent 4 }}
  annotations: {{- include "leadline.podAnnotations" (dict "root" .root "settings" (include (printf "leadline.%s.settings" .service) .root) "values" $values) | nindent 4 }}
    {{- with include "leadline.instruments" .root }}
    checksum/instruments: {{ sha256sum . }}
    {{- end }}
spec:
  {{- include "leadline.pod" (dict "root" .root "values" $values "class" .class "account" .account "token" .apiToken) | nindent 2 }}
  {{- if gt (int ($values.replicas | default 1)) 1 }}
  topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "leadline.selectorLabels" (dict "root" .root "component" .service) | nindent 8 }}
  {{- end }}
  {{- if .migrate }}
  initContainers:
  - name: database
    {{- include "leadline.container" .root | nindent 4 }}
    args: {{- include "leadline.migrate.database" .root | nindent 4 }}
    resources: {{- toYaml $values.resources | nindent 6 }}
    volumeMounts:
    - {name: migrate, mountPath: /etc/leadline, readOnly: true}
    - {name: tmp, mountPath: /tmp}
  - name: bus
    {{- include "leadline.container" .root | nindent 4 }}
    args: {{- include "leadline.migrate.bus" .root | nindent 4 }}
    resources: {{- toYaml $values.resources | nindent 6 }}
    volumeMounts:
    - {name: migrate, mountPath: /etc/leadline, readOnly: true}
    - {name: tmp, mountPath: /tmp}
  {{- end }}
  containers:
  - name: {{ .service }}
    {{- include "leadline.container" .root | nindent 4 }}
    args: [service, {{ .service }}, --settings, /etc/leadline/settings.json]
    {{- include "leadline.ports" . | nindent 4 }}
    {{- include "leadline.probes" . | nindent 4 }}
    {{- with include "leadline.env" .root }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if gt (int ($values.replicas | default 1)) 1 }}
    # Clients hear of another Pod before this one stops answering.
    lifecycle:
      preStop: {sleep: {seconds: 5}}
    {{- end }}
    resources: {{- toYaml $values.resources | nindent 6 }}
    volumeMounts:
    - {name: config, mountPath: /etc/leadline, readOnly: true}
    - {name: run, mountPath: /var/lib/leadline}
    - {name: tmp, mountPath: /tmp}
    {{- if and (eq .service "ingestion") .root.Values.feed.existingClaim }}
    - {name: feed, mountPath: /feed, readOnly: true}
    {{- end }}
    {{- if include "leadline.instruments" .root }}
    - {name: instruments, mountPath: /etc/leadline-instruments, readOnly: true}
    {{- end }}
  volumes:
  - name: config
    projected:
      defaultMode: 0440
      sources:
      - configMap:
          name: {{ include "leadline.fullname" .root }}-{{ .service }}
          items: [{key: settings.json, path: settings.json}]
      - secret:
          name: {{ include "leadline.token.secret" .root }}
          items: [{key: {{ .token | default .service }}, path: secrets/token/{{ .token | default .service }}}]
      {{- if .nats }}
      - secret:
          name: {{ include "leadline.nats.secret" .root }}
          items:
          - {key: {{ .nats }}, path: secrets/nats/{{ .nats }}}
      {{- end }}
      {{- if .database }}
      - secret:
          name: {{ include "leadline.database.secret" .root }}
          items:
          - {key: {{ .database }}, path: secrets/database/{{ .database }}}
      {{- end }}
      {{- if ne .root.Values.tls.mode "none" }}
      - secret:
          name: {{ include "leadline.tls.secret" .root }}
          items:
          - {key: tls.crt, path: secrets/tls/tls.crt}
          - {key: tls.key, path: secrets/tls/tls.key}
          - {key: ca.crt, path: secrets/tls/ca.crt}
      {{- end }}
  {{- if .migrate }}
  # What only the init containers may read: the keys of those who make tables and streams.
  - name: migrate
    projected:
      defaultMode: 0440
      sources:
      - secret:
          name: {{ include "leadline.database.secret" .root }}
          items:
          {{- range include "leadline.roles" . | fromJsonArray }}
          - {key: {{ . }}, path: secrets/database/{{ . }}}
          {{- end }}
      - secret:
          name: {{ include "leadline.nats.secret" .root }}
          items:
          - {key: migrate, path: secrets/nats/migrate}
  {{- end }}
  - {name: run, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
  {{- if and (eq .service "ingestion") .root.Values.feed.existingClaim }}
  - name: feed
    persistentVolumeClaim: {claimName: {{ .root.Values.feed.existingClaim }}, readOnly: true}
  {{- end }}
  {{- if include "leadline.instruments" .root }}
  - name: instruments
    projected:
      defaultMode: 0440
      sources:
      {{- with .root.Values.ownInstruments }}
      {{- if or .instruments .calendars }}
      - configMap: {name: {{ include "leadline.fullname" $.root }}-instruments}
      {{- end }}
      {{- with .existingConfigMap }}
      - configMap: {name: {{ . }}}
      {{- end }}
      {{- end }}
  {{- end }}
{{- end }}
