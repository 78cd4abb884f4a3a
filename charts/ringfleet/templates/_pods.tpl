{{/*
(dict "root" $ "component" … "values" … "settings" … "port" …): metadata of a pod template; `port` where there are
metrics. Carries no chart version nor replica count. What selects and the checksum can't be overridden, the rest can.
*/}}
{{- define "ringfleet.podMetadata" -}}
{{- $scraping := dict -}}
{{- if and .port .root.Values.metrics.annotations -}}
{{- $scraping = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .port) "prometheus.io/path" "/metrics" -}}
{{- end -}}
labels:
  {{- merge (include "ringfleet.selectorLabels" . | fromYaml) (default (dict) .values.podLabels) (default (dict) .root.Values.commonLabels) | toYaml | nindent 2 }}
annotations:
  {{- merge (dict "checksum/config" (sha256sum .settings)) (default (dict) .values.podAnnotations) (default (dict) .root.Values.commonAnnotations) $scraping | toYaml | nindent 2 }}
{{- end -}}

{{/* (dict "root" $ "component" … "values" …): what control plane and worker pods share. */}}
{{- define "ringfleet.podPlacement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ringfleet.topologySpread" -}}
topologySpreadConstraints:
{{- with .values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ringfleet.selectorLabels" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ringfleet.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Null leaves a probe out. */}}
{{- define "ringfleet.probes" -}}
{{- range $name, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz" }}
{{- with index $.Values.probes $name }}
{{ $name }}Probe:
  httpGet:
    path: {{ $path }}
    port: http
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Environment that control plane and workers share. */}}
{{- define "ringfleet.processEnv" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- include "ringfleet.postgresql.env" . }}
{{- include "ringfleet.redis.env" . }}
- name: API_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "ringfleet.apiSecretName" . | quote }}
      key: {{ ternary .Values.api.secretKey "token" (ne .Values.api.existingSecret "") | quote }}
{{- end -}}
