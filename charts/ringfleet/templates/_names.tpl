{{/* Name of the release's objects; short enough that every suffix still fits in 52 characters (StatefulSets). */}}
{{- define "ringfleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "worker"): what selectors select by; must never change. */}}
{{- define "ringfleet.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/*
(dict "root" $ "component" "worker" "labels" (dict …)): labels of an object; those of pod templates carry no version.
Merged, as a key that stands twice is an error to kustomize and others: what selects can't be overridden, the rest can.
*/}}
{{- define "ringfleet.labels" -}}
{{- $fixed := include "ringfleet.selectorLabels" . | fromYaml -}}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" -}}
{{- $told := dict "app.kubernetes.io/part-of" "ringfleet" "app.kubernetes.io/version" .root.Chart.AppVersion "helm.sh/chart" $chart -}}
{{- merge $fixed (default (dict) .labels) (default (dict) .root.Values.commonLabels) $told | toYaml -}}
{{- end -}}

{{/* (dict "root" $ "component" "worker" "annotations" (dict …) "labels" (dict …)): metadata of an object but its name. */}}
{{- define "ringfleet.metadata" -}}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "ringfleet.labels" . | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) (default (dict) .root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "component" "control-plane" "values" $.Values.controlPlane) */}}
{{- define "ringfleet.serviceAccountName" -}}
{{- if .values.serviceAccount.create -}}
{{- default (printf "%s-%s" (include "ringfleet.fullname" .root) .component) .values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "image" $.Values.worker.image) */}}
{{- define "ringfleet.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "ringfleet.controlPlaneUrl" -}}
http://{{ include "ringfleet.fullname" . }}-control-plane:{{ .Values.controlPlane.service.port }}
{{- end -}}

{{- define "ringfleet.apiSecretName" -}}
{{- default (printf "%s-api" (include "ringfleet.fullname" .)) .Values.api.existingSecret -}}
{{- end -}}

{{/*
(dict "root" $ "secret" name "key" key "value" value): base64 of the value, else of what the Secret in the
cluster holds, else of a new one: so that generated passwords survive upgrades.
*/}}
{{- define "ringfleet.secretValue" -}}
{{- $kept := dig "data" .key "" (default (dict) (lookup "v1" "Secret" .root.Release.Namespace .secret)) -}}
{{- if .value -}}
{{- .value | b64enc -}}
{{- else if $kept -}}
{{- $kept -}}
{{- else -}}
{{- randAlphaNum 32 | b64enc -}}
{{- end -}}
{{- end -}}
