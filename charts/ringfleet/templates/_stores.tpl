{{/* bundled, cloudnativepg or external */}}
{{- define "ringfleet.postgresql.kind" -}}
{{- if .Values.postgresql.enabled -}}bundled
{{- else if .Values.cloudnativepg.enabled -}}cloudnativepg
{{- else -}}external
{{- end -}}
{{- end -}}

{{/* Secret and key of the role's password: `name: …`, `key: …`. */}}
{{- define "ringfleet.postgresql.passwordRef" -}}
{{- $kind := include "ringfleet.postgresql.kind" . -}}
{{- $full := include "ringfleet.fullname" . -}}
{{- if eq $kind "bundled" -}}
name: {{ default (printf "%s-postgresql" $full) .Values.postgresql.auth.existingSecret | quote }}
key: {{ ternary .Values.postgresql.auth.passwordKey "password" (ne .Values.postgresql.auth.existingSecret "") | quote }}
{{- else if eq $kind "cloudnativepg" -}}
name: {{ $full }}-pg-app
key: password
{{- else -}}
name: {{ default (printf "%s-external-postgresql" $full) .Values.externalPostgresql.existingSecret | quote }}
key: {{ ternary .Values.externalPostgresql.passwordKey "password" (ne .Values.externalPostgresql.existingSecret "") | quote }}
{{- end -}}
{{- end -}}

{{/* DATABASE_URL without the password, which the driver takes from PGPASSWORD. */}}
{{- define "ringfleet.postgresql.url" -}}
{{- $kind := include "ringfleet.postgresql.kind" . -}}
{{- $full := include "ringfleet.fullname" . -}}
{{- if eq $kind "bundled" -}}
{{- with .Values.postgresql.auth -}}
postgresql://{{ .username }}@{{ $full }}-postgresql:5432/{{ .database }}
{{- end -}}
{{- else if eq $kind "cloudnativepg" -}}
postgresql://ringfleet@{{ $full }}-pg-rw:5432/ringfleet
{{- else -}}
{{- with .Values.externalPostgresql -}}
postgresql://{{ .username | urlquery | replace "+" "%20" }}@{{ include "ringfleet.urlHost" .host }}:{{ .port }}/{{ .database | urlquery | replace "+" "%20" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An IPv6 address stands in brackets. */}}
{{- define "ringfleet.urlHost" -}}
{{- if and (contains ":" .) (not (hasPrefix "[" .)) -}}[{{ . }}]{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* Environment by which control plane, workers and Jobs reach Postgres. */}}
{{- define "ringfleet.postgresql.env" -}}
{{- $kind := include "ringfleet.postgresql.kind" . -}}
{{- $external := .Values.externalPostgresql -}}
{{- if and (eq $kind "external") $external.urlKey }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $external.existingSecret | quote }}
      key: {{ $external.urlKey | quote }}
{{- else }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      {{- include "ringfleet.postgresql.passwordRef" . | nindent 6 }}
- name: DATABASE_URL
  value: {{ include "ringfleet.postgresql.url" . | quote }}
{{- end }}
- name: PG_SCHEMA
  value: {{ .Values.postgresSchema | quote }}
- name: PG_SSL_MODE
  value: {{ include "ringfleet.postgresql.sslMode" . }}
{{- $tls := include "ringfleet.postgresql.tls" . | fromYaml }}
{{- include "ringfleet.tlsEnv" (dict "tls" $tls "prefix" "PG_SSL" "folder" "/etc/ringfleet/postgresql-tls") }}
{{- end -}}

{{- define "ringfleet.postgresql.sslMode" -}}
{{- $kind := include "ringfleet.postgresql.kind" . -}}
{{- if eq $kind "bundled" -}}disable
{{- else if eq $kind "cloudnativepg" -}}verify-full
{{- else -}}{{ .Values.externalPostgresql.sslMode }}
{{- end -}}
{{- end -}}

{{/* The Secret of Postgres's TLS files and their keys; empty where there are none. */}}
{{- define "ringfleet.postgresql.tls" -}}
{{- $kind := include "ringfleet.postgresql.kind" . -}}
{{- if eq $kind "cloudnativepg" -}}
{{ dict "existingSecret" (printf "%s-pg-ca" (include "ringfleet.fullname" .)) "caKey" "ca.crt" "certKey" "" "keyKey" "" | toYaml }}
{{- else if and (eq $kind "external") (ne .Values.externalPostgresql.sslMode "disable") -}}
{{ .Values.externalPostgresql.tls | toYaml }}
{{- end -}}
{{- end -}}

{{/* Secret and key of Redis's password: `name: …`, `key: …`; empty where there is none. */}}
{{- define "ringfleet.redis.passwordRef" -}}
{{- $full := include "ringfleet.fullname" . -}}
{{- if .Values.redis.enabled -}}
name: {{ default (printf "%s-redis" $full) .Values.redis.auth.existingSecret | quote }}
key: {{ ternary .Values.redis.auth.passwordKey "password" (ne .Values.redis.auth.existingSecret "") | quote }}
{{- else if .Values.externalRedis.existingSecret -}}
name: {{ .Values.externalRedis.existingSecret | quote }}
key: {{ .Values.externalRedis.passwordKey | quote }}
{{- else if .Values.externalRedis.password -}}
name: {{ $full }}-external-redis
key: password
{{- end -}}
{{- end -}}

{{- define "ringfleet.redis.isSentinelSet" -}}
{{- if and .Values.redis.enabled (eq .Values.redis.architecture "sentinel") -}}true{{- end -}}
{{- end -}}

{{/* Sentinels as host:port, with commas; empty where there are none. */}}
{{- define "ringfleet.redis.sentinels" -}}
{{- if include "ringfleet.redis.isSentinelSet" . -}}
{{- $full := include "ringfleet.fullname" . -}}
{{- $nodes := list -}}
{{- range $i := until (int .Values.redis.sentinel.replicas) -}}
{{- $nodes = append $nodes (printf "%s-redis-%d.%s-redis-nodes:26379" $full $i $full) -}}
{{- end -}}
{{- join "," $nodes -}}
{{- else if not .Values.redis.enabled -}}
{{- join "," .Values.externalRedis.sentinel.nodes -}}
{{- end -}}
{{- end -}}

{{/*
Environment by which control plane and workers reach Redis. With sentinels, host and port of the URL aren't used.
The password, which may have any characters, stands beside the URL.
*/}}
{{- define "ringfleet.redis.env" -}}
{{- $external := .Values.externalRedis -}}
{{- $passwordRef := include "ringfleet.redis.passwordRef" . -}}
{{- if and (not .Values.redis.enabled) $external.urlKey }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ $external.existingSecret | quote }}
      key: {{ $external.urlKey | quote }}
{{- else }}
{{- if $passwordRef }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      {{- $passwordRef | nindent 6 }}
{{- end }}
- name: REDIS_URL
{{- if .Values.redis.enabled }}
  value: {{ printf "redis://%s-redis:6379/0" (include "ringfleet.fullname" .) | quote }}
{{- else }}
{{- $host := default (first (splitList ":" (default "" (first $external.sentinel.nodes)))) $external.host }}
{{- $user := ternary (printf "%s@" ($external.username | urlquery | replace "+" "%20")) "" (ne $external.username "") }}
  value: {{ printf "%s://%s%s:%d/%d" (ternary "rediss" "redis" $external.tls.enabled) $user (include "ringfleet.urlHost" $host) (int $external.port) (int $external.database) | quote }}
{{- end }}
{{- end }}
{{- with include "ringfleet.redis.sentinels" . }}
- name: REDIS_SENTINELS
  value: {{ . | quote }}
- name: REDIS_SENTINEL_MASTER
  value: {{ ternary $.Values.redis.sentinel.masterName $external.sentinel.masterName $.Values.redis.enabled | quote }}
{{- if $.Values.redis.enabled }}
- name: REDIS_SENTINEL_PASSWORD
  valueFrom:
    secretKeyRef:
      {{- $passwordRef | nindent 6 }}
{{- else if $external.sentinel.existingSecret }}
- name: REDIS_SENTINEL_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $external.sentinel.existingSecret | quote }}
      key: {{ $external.sentinel.passwordKey | quote }}
{{- end }}
{{- end }}
- name: REDIS_KEY_PREFIX
  value: {{ .Values.redisKeyPrefix | quote }}
{{- include "ringfleet.tlsEnv" (dict "tls" (include "ringfleet.redis.tls" . | fromYaml) "prefix" "REDIS_TLS" "folder" "/etc/ringfleet/redis-tls") }}
{{- end -}}

{{- define "ringfleet.redis.tls" -}}
{{- if and (not .Values.redis.enabled) .Values.externalRedis.tls.enabled -}}
{{ omit .Values.externalRedis.tls "enabled" | toYaml }}
{{- end -}}
{{- end -}}

{{/* (dict "tls" … "prefix" "PG_SSL" "folder" …): PREFIX_CA_FILE, PREFIX_CERT_FILE, PREFIX_KEY_FILE. */}}
{{- define "ringfleet.tlsEnv" -}}
{{- if .tls.existingSecret }}
{{- range $name, $key := dict "CA" .tls.caKey "CERT" .tls.certKey "KEY" .tls.keyKey }}
{{- if $key }}
- name: {{ $.prefix }}_{{ $name }}_FILE
  value: {{ printf "%s/%s" $.folder $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "name" "postgresql-tls" "tls" …): a volume with no more of the Secret than what is used. */}}
{{- define "ringfleet.tlsVolume" -}}
{{- if .tls.existingSecret }}
- name: {{ .name }}
  secret:
    secretName: {{ .tls.existingSecret | quote }}
    defaultMode: 288 # 0440; parsers disagree about octal numbers
    items:
      {{- range $key := compact (list .tls.caKey .tls.certKey .tls.keyKey) }}
      - key: {{ $key | quote }}
        path: {{ $key | quote }}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "ringfleet.tlsMount" -}}
{{- if .tls.existingSecret }}
- name: {{ .name }}
  mountPath: /etc/ringfleet/{{ .name }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "ringfleet.storeVolumes" -}}
{{- include "ringfleet.tlsVolume" (dict "name" "postgresql-tls" "tls" (include "ringfleet.postgresql.tls" . | fromYaml)) }}
{{- include "ringfleet.tlsVolume" (dict "name" "redis-tls" "tls" (include "ringfleet.redis.tls" . | fromYaml)) }}
{{- end -}}

{{- define "ringfleet.storeMounts" -}}
{{- include "ringfleet.tlsMount" (dict "name" "postgresql-tls" "tls" (include "ringfleet.postgresql.tls" . | fromYaml)) }}
{{- include "ringfleet.tlsMount" (dict "name" "redis-tls" "tls" (include "ringfleet.redis.tls" . | fromYaml)) }}
{{- end -}}
