{{/* postgresql.conf of the bundled Postgres. */}}
{{- define "ringfleet.postgresql.conf" -}}
listen_addresses = '*'
max_connections = {{ .Values.postgresql.maxConnections | int }}
password_encryption = 'scram-sha-256'
# Acknowledged work must survive a crash.
synchronous_commit = on
# A client that the network has cut off must not keep its locks.
tcp_keepalives_idle = 5
tcp_keepalives_interval = 2
tcp_keepalives_count = 3
log_timezone = 'UTC'
timezone = 'UTC'
{{- range $name, $value := .Values.postgresql.settings }}
{{ $name }} = '{{ $value | toString | replace "'" "''" }}'
{{- end }}
{{- end -}}

{{/*
Runs once, when the data folder is made: a role that owns its database and is no superuser. It may see others' sessions,
so that a long pg_dump of the superuser doesn't hide from RingfleetOldSnapshot.
*/}}
{{- define "ringfleet.postgresql.initScript" -}}
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set role="$RINGFLEET_ROLE" --set database="$RINGFLEET_DATABASE" <<'SQL'
\set password `cat /etc/ringfleet/postgresql-secret/password`
CREATE ROLE :"role" LOGIN PASSWORD :'password';
GRANT pg_read_all_stats TO :"role";
CREATE DATABASE :"database" OWNER :"role";
SQL
{{- end -}}
