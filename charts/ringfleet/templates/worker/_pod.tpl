{{/* Settings of the workers that are no secrets; a change of them restarts the pods, so no replica count is here. */}}
{{- define "ringfleet.worker.settings" -}}
CONTROL_PLANE_URL: {{ include "ringfleet.controlPlaneUrl" . }}
DRAIN_TIMEOUT_MS: {{ .Values.worker.drainTimeoutMs | int | quote }}
HEARTBEAT_MS: {{ .Values.heartbeatMs | int | quote }}
HOST: {{ .Values.bindAddress | quote }}
LOG_LEVEL: {{ .Values.logLevel }}
PG_POOL_SIZE: {{ .Values.worker.poolSize | int | quote }}
PORT: "9090"
SLICE_LOG_LIMIT: {{ .Values.worker.sliceLogLimit | int | quote }}
WORKER_WEIGHT: {{ .Values.worker.weight | int | quote }}
{{- end -}}

{{/* (dict "root" $): the pod template of Deployment and StatefulSet alike. */}}
{{- define "ringfleet.worker.podTemplate" -}}
{{- $values := .root.Values.worker -}}
{{- $context := dict "root" .root "component" "worker" "values" $values "port" 9090 "settings" (include "ringfleet.worker.settings" .root) -}}
metadata:
  {{- include "ringfleet.podMetadata" $context | nindent 2 }}
spec:
  {{- with include "ringfleet.pullSecrets" .root }}{{ . | trim | nindent 2 }}{{- end }}
  serviceAccountName: {{ include "ringfleet.serviceAccountName" $context | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- toYaml .root.Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with include "ringfleet.podPlacement" $context }}{{ . | trim | nindent 2 }}{{- end }}
  {{- include "ringfleet.topologySpread" $context | nindent 2 }}
  containers:
    - name: worker
      image: {{ include "ringfleet.image" (dict "root" .root "image" $values.image) }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      {{- with $values.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      envFrom:
        - configMapRef:
            name: {{ include "ringfleet.fullname" .root }}-worker
        {{- with $values.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- include "ringfleet.processEnv" .root | nindent 8 }}
        {{- /* By this label a surge pod is known for the successor of an older revision's pod. */}}
        - name: WORKER_REVISION
          valueFrom:
            fieldRef:
              fieldPath: metadata.labels['{{ ternary "controller-revision-hash" "pod-template-hash" (eq $values.kind "StatefulSet") }}']
        - name: WORKER_ADDRESS
          value: {{ printf "http://%s:9090" (ternary "[$(POD_IP)]" "$(POD_IP)" (contains ":" .root.Values.bindAddress)) | quote }}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: 9090
      {{- with include "ringfleet.probes" .root }}{{ . | trim | nindent 6 }}{{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- with include "ringfleet.storeMounts" .root }}{{ . | trim | nindent 8 }}{{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- with include "ringfleet.storeVolumes" .root }}{{ . | trim | nindent 4 }}{{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
