{{/*
Passwords by name, as JSON: what was given, else what the Secret in the cluster holds, else random; of a Secret that
somebody else makes only what it holds. What else it holds comes along.
Takes (dict "root" $ "secret" NAME "given" MAP "keys" LIST "foreign" BOOL).
*/}}
{{- define "leadline.credentials" -}}
{{- $found := dict -}}
{{- $held := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- range $key, $value := (get ($held | default dict) "data" | default dict) -}}
{{- $_ := set $found $key (b64dec $value) -}}
{{- end -}}
{{- $_ := set $found "held" (ternary "yes" "" (not (empty $held))) -}}
{{- range .keys -}}
{{- if hasKey $.given . -}}
{{- $_ := set $found . (get $.given .) -}}
{{- else if and $.foreign $held (not (get $found .)) -}}
{{- fail (printf "existingSecret: the Secret %s in %s has no key %s" $.secret $.root.Release.Namespace .) -}}
{{- else if and (not $.foreign) (not (get $found .)) -}}
{{- $_ := set $found . (randAlphaNum 40) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* HS256 key of a service in a namespace, from the platform's master key. The services derive it in the same way. */}}
{{- define "leadline.key" -}}
{{- sha256sum (printf "%s/%s/%s" .master .namespace .service) -}}
{{- end }}

{{/* A Secret that somebody else makes must be there before traders' Secrets can be made from it. */}}
{{- define "leadline.mustHave" -}}
{{- if and .given (not .found.held) -}}
{{- fail (printf "existingSecret: there is no Secret %s in %s, or no cluster to read it from. Make it first, or make the Secrets of the trader namespaces yourself and set namespaces[].createSecrets: false" .secret .root.Release.Namespace) -}}
{{- end -}}
{{- end }}
