{{/* Selects this fleet's series; the monitors set the label `fleet`. */}}
{{- define "ringfleet.metricsSelector" -}}
{{- default (printf "namespace=%q,fleet=%q" .Release.Namespace (include "ringfleet.fullname" .)) .Values.metrics.prometheusRule.selector -}}
{{- end -}}

{{- define "ringfleet.fleetRelabeling" -}}
- targetLabel: fleet
  replacement: {{ include "ringfleet.fullname" . }}
{{- end -}}
