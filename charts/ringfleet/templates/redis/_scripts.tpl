{{/* Only heartbeats and hints: nothing to keep, and nothing to evict. */}}
{{- define "ringfleet.redis.conf" -}}
bind * -::*
port 6379
save ""
appendonly no
maxmemory {{ .Values.redis.maxMemory }}
maxmemory-policy noeviction
tcp-keepalive 10
dir /tmp
{{- end -}}

{{/* The password as redis.conf takes one with any characters: `$password`, in double quotes. */}}
{{- define "ringfleet.redis.quotePassword" -}}
password="\"$(printf '%s' "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')\""
{{- end -}}

{{/* The password reaches redis-server by a file in memory, never by its command line. */}}
{{- define "ringfleet.redis.startScript" -}}
set -eu
umask 077
{{ include "ringfleet.redis.quotePassword" . }}
{
  cat /etc/ringfleet/redis/redis.conf
  printf 'requirepass %s\nmasterauth %s\n' "$password" "$password"
} > /run/redis/redis.conf
{{- if include "ringfleet.redis.isSentinelSet" . }}
self="$POD_NAME.$NODES_DOMAIN"
printf 'replica-announce-ip %s\n' "$self" >> /run/redis/redis.conf
master="$(sh /etc/ringfleet/redis/find-master.sh)"
if [ "$master" != "$self" ]; then
  printf 'replicaof %s 6379\n' "$master" >> /run/redis/redis.conf
fi
{{- end }}
exec redis-server /run/redis/redis.conf
{{- end -}}

{{/* Prints the master that the sentinels name, else the first pod. */}}
{{- define "ringfleet.redis.findMasterScript" -}}
export REDISCLI_AUTH="$REDIS_PASSWORD"
index=0
while [ "$index" -lt "$NODES_COUNT" ]; do
  node="$NODES_NAME-$index.$NODES_DOMAIN"
  master="$(timeout 2 redis-cli -h "$node" -p 26379 --raw sentinel get-master-addr-by-name {{ .Values.redis.sentinel.masterName }} 2>/dev/null | head -n 1)"
  case "$master" in
    "$NODES_NAME"-*) echo "$master"; exit 0 ;;
  esac
  index=$((index + 1))
done
echo "$NODES_NAME-0.$NODES_DOMAIN"
{{- end -}}

{{- define "ringfleet.redis.sentinelScript" -}}
set -eu
umask 077
{{ include "ringfleet.redis.quotePassword" . }}
self="$POD_NAME.$NODES_DOMAIN"
master="$(sh /etc/ringfleet/redis/find-master.sh)"
# A sentinel refuses to start on a master whose name doesn't resolve yet.
until getent hosts "$master" > /dev/null; do sleep 1; done
cat > /run/redis/sentinel.conf <<CONF
bind * -::*
port 26379
dir /tmp
requirepass $password
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $self
sentinel sentinel-pass $password
{{- with .Values.redis.sentinel }}
sentinel monitor {{ .masterName }} $master 6379 {{ .quorum }}
sentinel auth-pass {{ .masterName }} $password
sentinel down-after-milliseconds {{ .masterName }} {{ .downAfterMs | int }}
sentinel failover-timeout {{ .masterName }} 10000
sentinel parallel-syncs {{ .masterName }} 1
{{- end }}
CONF
exec redis-server /run/redis/sentinel.conf --sentinel
{{- end -}}

{{- define "ringfleet.redis.scripts" -}}
redis.conf: |
  {{- include "ringfleet.redis.conf" . | nindent 2 }}
start.sh: |
  {{- include "ringfleet.redis.startScript" . | nindent 2 }}
{{- if include "ringfleet.redis.isSentinelSet" . }}
find-master.sh: |
  {{- include "ringfleet.redis.findMasterScript" . | nindent 2 }}
sentinel.sh: |
  {{- include "ringfleet.redis.sentinelScript" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Environment of redis-server and of the sentinels. */}}
{{- define "ringfleet.redis.serverEnv" -}}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      {{- include "ringfleet.redis.passwordRef" . | nindent 6 }}
{{- if include "ringfleet.redis.isSentinelSet" . }}
{{- $name := printf "%s-redis" (include "ringfleet.fullname" .) }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: NODES_NAME
  value: {{ $name }}
- name: NODES_COUNT
  value: {{ .Values.redis.sentinel.replicas | quote }}
- name: NODES_DOMAIN
  value: {{ $name }}-nodes.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}
{{- end -}}

{{/* A port number: probes of a Redis server. */}}
{{- define "ringfleet.redis.probes" -}}
{{- $ping := printf "REDISCLI_AUTH=\"$REDIS_PASSWORD\" redis-cli -h 127.0.0.1 -p %d ping | grep -q PONG" (int .) -}}
{{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{ $probe }}:
  exec:
    command: [sh, -c, {{ toJson $ping }}]
  periodSeconds: {{ ternary 5 1 (eq $probe "livenessProbe") }}
  timeoutSeconds: 3
  failureThreshold: {{ get (dict "startupProbe" 60 "livenessProbe" 6 "readinessProbe" 3) $probe }}
{{- end }}
{{- end -}}
