{{/* Waits until something listens where DATABASE_URL points; `migrate` itself fails at once. */}}
{{- define "ringfleet.migrations.waitScript" -}}
const { connect } = await import("node:net");
const { hostname, port } = new URL(process.env.DATABASE_URL);
const host = hostname.replace(/^\[|\]$/g, "");
const isListening = () => new Promise((resolve) => {
  const socket = connect({ host, port: Number(port || 5432), timeout: 2000 });
  const end = (answer) => () => { socket.destroy(); resolve(answer); };
  socket.once("connect", end(true)).once("error", end(false)).once("timeout", end(false));
});
console.log(`waiting for Postgres at ${host}:${port || 5432}`);
while (!(await isListening())) await new Promise((resolve) => setTimeout(resolve, 1000));
{{- end -}}

{{- define "ringfleet.migrations.isHook" -}}
{{- if eq .Values.migrations.mode "hook" -}}true{{- end -}}
{{- end -}}

{{/* (dict "root" $ "name" … "command" (list …) "mounts" …): a container of the Job. */}}
{{- define "ringfleet.migrations.container" -}}
{{- $root := .root -}}
{{- $full := include "ringfleet.fullname" $root -}}
{{- $env := include "ringfleet.postgresql.env" $root -}}
{{- if include "ringfleet.migrations.isHook" $root -}}
{{- /* As a hook it runs before the release's own Secret is there, and has a copy. */ -}}
{{- $env = $env | replace (printf "name: %q\n" (printf "%s-external-postgresql" $full)) (printf "name: %q\n" (printf "%s-migrate" $full)) -}}
{{- end -}}
- name: {{ .name }}
  image: {{ include "ringfleet.image" (dict "root" $root "image" $root.Values.controlPlane.image) }}
  imagePullPolicy: {{ $root.Values.controlPlane.image.pullPolicy }}
  command: {{ toJson .command }}
  {{- with $root.Values.controlPlane.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    {{- $env | trim | nindent 4 }}
    {{- with $root.Values.controlPlane.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  resources:
    {{- toYaml $root.Values.migrations.resources | nindent 4 }}
  securityContext:
    {{- toYaml $root.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    - name: config
      mountPath: /etc/ringfleet/config
      readOnly: true
    {{- with include "ringfleet.tlsMount" (dict "name" "postgresql-tls" "tls" (include "ringfleet.postgresql.tls" $root | fromYaml)) }}{{ . | trim | nindent 4 }}{{- end }}
    {{- with $root.Values.controlPlane.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The Job's spec. It holds no replica count nor chart version: only what changes it makes a new Job. */}}
{{- define "ringfleet.migrations.spec" -}}
{{- $context := dict "root" . "component" "migrate" "values" .Values.migrations "settings" (toJson .Values.config.initial) -}}
backoffLimit: {{ .Values.migrations.backoffLimit }}
activeDeadlineSeconds: {{ .Values.migrations.activeDeadlineSeconds }}
template:
  metadata:
    {{- include "ringfleet.podMetadata" $context | nindent 4 }}
  spec:
    {{- /* With OnFailure Kubernetes deletes the pod of a Job that has failed for good, and its log with it. */}}
    restartPolicy: Never
    {{- with include "ringfleet.pullSecrets" . }}{{ . | trim | nindent 4 }}{{- end }}
    serviceAccountName: {{ include "ringfleet.serviceAccountName" $context | quote }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext:
      {{- toYaml .Values.podSecurityContext | nindent 6 }}
    {{- with include "ringfleet.podPlacement" (dict "values" (omit .Values.controlPlane "affinity")) }}{{ . | trim | nindent 4 }}{{- end }}
    initContainers:
      {{- include "ringfleet.migrations.container" (dict "root" . "name" "wait-for-postgres" "command" (list "node" "--input-type=module" "-e" (include "ringfleet.migrations.waitScript" .))) | nindent 6 }}
      {{- include "ringfleet.migrations.container" (dict "root" . "name" "migrate" "command" (list "node" "dist/cli/main.js" "migrate")) | nindent 6 }}
    containers:
      {{- include "ringfleet.migrations.container" (dict "root" . "name" "initial-config" "command" (list "node" "dist/cli/main.js" "config" "default" "--file" "/etc/ringfleet/config/config.json")) | nindent 6 }}
    volumes:
      - name: tmp
        emptyDir: {}
      - name: config
        configMap:
          name: {{ include "ringfleet.fullname" . }}-migrate
      {{- with include "ringfleet.tlsVolume" (dict "name" "postgresql-tls" "tls" (include "ringfleet.postgresql.tls" . | fromYaml)) }}{{ . | trim | nindent 6 }}{{- end }}
      {{- with .Values.controlPlane.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end -}}

{{/* Annotations of what the hook needs; empty where it is none. `.weight` orders, `.delete` says when it goes. */}}
{{- define "ringfleet.migrations.hookAnnotations" -}}
{{- if include "ringfleet.migrations.isHook" .root -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: {{ .delete }}
{{- end -}}
{{- end -}}

{{/*
Whether a hook is due. A finished Job of the same spec stays in the cluster, so that an upgrade that changes
nothing of it (a pure scale-up) runs no hook.
*/}}
{{- define "ringfleet.migrations.isDue" -}}
{{- $isDone := false -}}
{{- if include "ringfleet.migrations.isHook" . -}}
{{- $job := default (dict) (lookup "batch/v1" "Job" .Release.Namespace (printf "%s-migrate" (include "ringfleet.fullname" .))) -}}
{{- $hash := include "ringfleet.migrations.spec" . | sha256sum -}}
{{- $isSame := eq (dig "metadata" "annotations" "ringfleet/spec" "" $job) $hash -}}
{{- $isDone = and $isSame (ge (int (dig "status" "succeeded" 0 $job)) 1) -}}
{{- end -}}
{{- if and .Values.migrations.enabled (not $isDone) -}}true{{- end -}}
{{- end -}}
