{{/* (dict "root" $ "component" "worker"): the pods of a component as a peer. */}}
{{- define "ringfleet.network.peer" -}}
- podSelector:
    matchLabels:
      {{- include "ringfleet.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "ringfleet.network.metricsPeers" -}}
{{- if .Values.networkPolicy.metricsFrom -}}
{{ toYaml .Values.networkPolicy.metricsFrom }}
{{- else -}}
- namespaceSelector: {}
{{- end -}}
{{- end -}}

{{- define "ringfleet.network.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
    {{- /* A policy sees the pod's port, not the Service's: OpenShift's DNS pods listen on 5353. */}}
    - port: 5353
      protocol: UDP
    - port: 5353
      protocol: TCP
{{- end -}}

{{- define "ringfleet.network.redisPorts" -}}
- port: 6379
  protocol: TCP
{{- if include "ringfleet.redis.isSentinelSet" . }}
- port: 26379
  protocol: TCP
{{- end }}
{{- end -}}

{{/* The way to the external stores; empty where there are none. */}}
{{- define "ringfleet.network.externalStores" -}}
{{- with include "ringfleet.network.externalPorts" . -}}
- ports:
    {{- . | nindent 4 }}
  {{- with $.Values.networkPolicy.externalCidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Ports of the external stores; empty where there are none. */}}
{{- define "ringfleet.network.externalPorts" -}}
{{- $ports := list -}}
{{- if eq (include "ringfleet.postgresql.kind" .) "external" -}}
{{- $ports = append $ports (int .Values.externalPostgresql.port) -}}
{{- end -}}
{{- if not .Values.redis.enabled -}}
{{- $ports = append $ports (int .Values.externalRedis.port) -}}
{{- range .Values.externalRedis.sentinel.nodes -}}
{{- $ports = append $ports (int (last (splitList ":" .))) -}}
{{- end -}}
{{- end -}}
{{- if $ports -}}
{{- range .Values.networkPolicy.externalPorts -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- range $i, $port := uniq $ports }}
{{- if $i }}
{{ end -}}
- port: {{ $port }}
  protocol: TCP
{{- end -}}
{{- end -}}
{{- end -}}
