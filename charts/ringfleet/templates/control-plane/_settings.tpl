{{/* Settings of the control plane that are no secrets; a change of them restarts its pods. */}}
{{- define "ringfleet.controlPlane.settings" -}}
DEAD_AFTER_MS: {{ .Values.controlPlane.deadAfterMs | int | quote }}
HEARTBEAT_MS: {{ .Values.heartbeatMs | int | quote }}
HOST: {{ .Values.bindAddress | quote }}
JOIN_SETTLE_MS: {{ .Values.controlPlane.joinSettleMs | int | quote }}
LEASE_TTL_MS: {{ .Values.controlPlane.leaseTtlMs | int | quote }}
LOG_LEVEL: {{ .Values.logLevel }}
PG_POOL_SIZE: {{ .Values.controlPlane.poolSize | int | quote }}
PORT: "8080"
REPLACE_SETTLE_MS: {{ .Values.controlPlane.replaceSettleMs | int | quote }}
{{- end -}}
