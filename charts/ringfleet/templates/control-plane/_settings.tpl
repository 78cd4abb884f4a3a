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
{{- with .Values.webhook.source.url }}
CONFIG_SOURCE_URL: {{ . | quote }}
CONFIG_SOURCE_ALLOW_PRIVATE: {{ $.Values.webhook.source.allowPrivate | quote }}
{{- end }}
{{- end -}}

{{/* What the webhook takes from its Secret. */}}
{{- define "ringfleet.controlPlane.webhookEnv" -}}
{{- $webhook := .Values.webhook -}}
{{- if $webhook.existingSecret -}}
{{- range $name, $key := dict "WEBHOOK_SECRET" $webhook.secretKey "WEBHOOK_SECRET_PREVIOUS" $webhook.previousSecretKey "CONFIG_SOURCE_TOKEN" $webhook.source.tokenKey }}
{{- if $key }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $webhook.existingSecret | quote }}
      key: {{ $key | quote }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}
