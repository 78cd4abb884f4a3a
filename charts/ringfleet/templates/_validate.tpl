{{/* What no schema can say: values that contradict each other. Every message says what to change. */}}
{{- define "ringfleet.validate" -}}
{{- $v := .Values -}}
{{- $full := include "ringfleet.fullname" . -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $full) -}}
{{- fail (printf "%s can't name a Service, which begins with a letter and has no dots: set fullnameOverride" $full) -}}
{{- end -}}
{{- $kind := include "ringfleet.postgresql.kind" . -}}
{{- $external := or $v.externalPostgresql.host $v.externalPostgresql.urlKey -}}
{{- if and $v.postgresql.enabled $v.cloudnativepg.enabled -}}
{{- fail "postgresql.enabled and cloudnativepg.enabled are both true: switch one of them off" -}}
{{- end -}}
{{- if and $external (ne $kind "external") -}}
{{- fail "externalPostgresql is set, but postgresql.enabled or cloudnativepg.enabled is true: set them to false" -}}
{{- end -}}
{{- if and (eq $kind "external") (not $external) -}}
{{- fail "no Postgres: set externalPostgresql.host (or existingSecret and urlKey), postgresql.enabled or cloudnativepg.enabled" -}}
{{- end -}}
{{- if and (eq $kind "external") (not $v.externalPostgresql.existingSecret) (or $v.externalPostgresql.urlKey (not $v.externalPostgresql.password)) -}}
{{- fail "externalPostgresql needs a password, or an existingSecret that holds it (urlKey: the whole URL)" -}}
{{- end -}}
{{- $externalRedis := or $v.externalRedis.host $v.externalRedis.urlKey $v.externalRedis.sentinel.nodes -}}
{{- if and $v.redis.enabled $externalRedis -}}
{{- fail "externalRedis is set, but redis.enabled is true: set it to false" -}}
{{- end -}}
{{- if not (or $v.redis.enabled $externalRedis) -}}
{{- fail "no Redis: set externalRedis.host (or sentinel.nodes, or existingSecret and urlKey), or redis.enabled" -}}
{{- end -}}
{{- if and $v.externalRedis.urlKey (not $v.externalRedis.existingSecret) -}}
{{- fail "externalRedis.urlKey is a key of externalRedis.existingSecret: set that too" -}}
{{- end -}}
{{- if and $v.externalRedis.username (not $v.redis.enabled) (not $v.externalRedis.urlKey) (not (include "ringfleet.redis.passwordRef" .)) -}}
{{- fail "externalRedis.username needs externalRedis.password or existingSecret" -}}
{{- end -}}
{{- range $name := list "externalPostgresql" "externalRedis" -}}
{{- $tls := (index $v $name).tls -}}
{{- if ne (empty $tls.certKey) (empty $tls.keyKey) -}}
{{- fail (printf "%s.tls.certKey and keyKey go together: set both or none" $name) -}}
{{- end -}}
{{- if and $tls.certKey (not $tls.existingSecret) -}}
{{- fail (printf "%s.tls.certKey is a key of %s.tls.existingSecret: set that too" $name $name) -}}
{{- end -}}
{{- end -}}
{{- /* Whoever names certificates believes that they are used. */ -}}
{{- if and $v.externalRedis.tls.existingSecret (not $v.externalRedis.tls.enabled) -}}
{{- fail "externalRedis.tls.existingSecret is set, but externalRedis.tls.enabled is false: set it to true" -}}
{{- end -}}
{{- if eq $kind "external" -}}
{{- $sslMode := $v.externalPostgresql.sslMode -}}
{{- $tls := $v.externalPostgresql.tls -}}
{{- if and $tls.existingSecret (eq $sslMode "disable") -}}
{{- fail "externalPostgresql.tls.existingSecret is set, but externalPostgresql.sslMode is disable" -}}
{{- end -}}
{{- if and (eq $sslMode "verify-ca") (not (and $tls.existingSecret $tls.caKey)) -}}
{{- fail "externalPostgresql.sslMode verify-ca needs tls.existingSecret with the CA: any CA would do otherwise" -}}
{{- end -}}
{{- end -}}
{{- if and (include "ringfleet.redis.isSentinelSet" .) (gt (int $v.redis.sentinel.quorum) (int $v.redis.sentinel.replicas)) -}}
{{- fail (printf "redis.sentinel.quorum (%d) is more than redis.sentinel.replicas (%d): no master could ever be replaced" (int $v.redis.sentinel.quorum) (int $v.redis.sentinel.replicas)) -}}
{{- end -}}
{{- if and (eq $kind "cloudnativepg") (ge (int $v.cloudnativepg.synchronousReplicas) (int $v.cloudnativepg.instances)) -}}
{{- fail (printf "cloudnativepg.synchronousReplicas (%d) must be less than cloudnativepg.instances (%d), or no commit could ever end" (int $v.cloudnativepg.synchronousReplicas) (int $v.cloudnativepg.instances)) -}}
{{- end -}}
{{- if and $v.webhook.source.url (not $v.webhook.existingSecret) -}}
{{- fail "webhook.source.url is only fetched when a webhook says so: set webhook.existingSecret" -}}
{{- end -}}
{{- if and (or $v.webhook.previousSecretKey $v.webhook.source.tokenKey) (not $v.webhook.existingSecret) -}}
{{- fail "webhook.previousSecretKey and webhook.source.tokenKey are keys of webhook.existingSecret: set that too" -}}
{{- end -}}
{{- if and (eq $v.migrations.mode "hook") (ne $kind "external") -}}
{{- fail "migrations.mode hook runs before the chart's own Postgres is there: use job, or an external Postgres" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled $v.keda.enabled -}}
{{- fail "autoscaling.enabled and keda.enabled are both true: only one of them can set the number of workers" -}}
{{- end -}}
{{- range $name := list "autoscaling" "keda" -}}
{{- $scaling := index $v $name -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "%s.minReplicas (%d) is more than %s.maxReplicas (%d)" $name (int $scaling.minReplicas) $name (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and $v.keda.enabled (eq (int $v.keda.rowsPerWorker) 0) (not $v.keda.triggers) -}}
{{- fail "keda.enabled needs keda.rowsPerWorker or keda.triggers" -}}
{{- end -}}
{{- if and $v.keda.enabled (gt (int $v.keda.rowsPerWorker) 0) (not $v.keda.prometheusAddress) -}}
{{- fail "keda.rowsPerWorker needs keda.prometheusAddress" -}}
{{- end -}}
{{- if lt (int $v.controlPlane.deadAfterMs) (mul 3 (int $v.heartbeatMs)) -}}
{{- fail (printf "controlPlane.deadAfterMs (%d) must be at least 3 × heartbeatMs (%d)" (int $v.controlPlane.deadAfterMs) (mul 3 (int $v.heartbeatMs))) -}}
{{- end -}}
{{- /* A name that stands twice in a container's env is refused at a server-side apply, and breaks later patches else. */ -}}
{{- $shared := include "ringfleet.processEnv" . | fromYamlArray -}}
{{- $ofControlPlane := include "ringfleet.controlPlane.webhookEnv" . | fromYamlArray -}}
{{- $ofWorker := list (dict "name" "WORKER_ADDRESS") (dict "name" "WORKER_REVISION") -}}
{{- range $name, $own := dict "controlPlane" $ofControlPlane "worker" $ofWorker -}}
{{- $taken := list -}}
{{- range concat $shared $own -}}{{- $taken = append $taken .name -}}{{- end -}}
{{- range (index $v $name).extraEnv -}}
{{- if has .name $taken -}}
{{- fail (printf "%s.extraEnv: %s is set already, by the chart or twice: use the value that it comes from" $name .name) -}}
{{- end -}}
{{- $taken = append $taken .name -}}
{{- end -}}
{{- end -}}
{{- $leastGrace := add 5 (ceil (divf (int $v.worker.drainTimeoutMs) 1000)) -}}
{{- if lt (int $v.worker.terminationGracePeriodSeconds) (int $leastGrace) -}}
{{- fail (printf "worker.terminationGracePeriodSeconds (%d) must be at least %d: 5 more than worker.drainTimeoutMs" (int $v.worker.terminationGracePeriodSeconds) (int $leastGrace)) -}}
{{- end -}}
{{- if ge (int $v.controlPlane.preStopSeconds) (int $v.controlPlane.terminationGracePeriodSeconds) -}}
{{- fail (printf "controlPlane.preStopSeconds (%d) must be less than controlPlane.terminationGracePeriodSeconds (%d), which counts from the same moment" (int $v.controlPlane.preStopSeconds) (int $v.controlPlane.terminationGracePeriodSeconds)) -}}
{{- end -}}
{{- if and (eq (toString $v.worker.rollingUpdate.maxSurge) "0") (eq (toString $v.worker.rollingUpdate.maxUnavailable) "0") -}}
{{- fail "worker.rollingUpdate: maxSurge and maxUnavailable are both 0, so that no rollout could ever go on" -}}
{{- end -}}
{{- if ne $kind "external" -}}
{{- $limit := ternary "postgresql.maxConnections" "cloudnativepg.parameters.max_connections" (eq $kind "bundled") -}}
{{- /* 100 is what CloudNativePG takes where nothing is said. */ -}}
{{- $room := int (ternary $v.postgresql.maxConnections (dig "max_connections" "100" (default (dict) $v.cloudnativepg.parameters)) (eq $kind "bundled")) -}}
{{- $workers := include "ringfleet.mostWorkers" . | int -}}
{{- $connections := add (mul $workers (add 1 $v.worker.poolSize)) (mul (add 1 $v.controlPlane.replicaCount) $v.controlPlane.poolSize) 10 -}}
{{- if gt (int $connections) $room -}}
{{- fail (printf "%d workers need up to %d Postgres connections, %s is %d: raise it, or lower worker.poolSize" $workers (int $connections) $limit $room) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Most workers that there will be, but for one that surges. */}}
{{- define "ringfleet.mostWorkers" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.maxReplicas }}
{{- else if .Values.keda.enabled -}}{{ .Values.keda.maxReplicas }}
{{- else -}}{{ .Values.worker.replicaCount }}
{{- end -}}
{{- end -}}

{{/* Fewest workers that `helm test` is content with. */}}
{{- define "ringfleet.fewestWorkers" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.minReplicas }}
{{- else if .Values.keda.enabled -}}{{ .Values.keda.minReplicas }}
{{- else -}}{{ .Values.worker.replicaCount }}
{{- end -}}
{{- end -}}

{{- define "ringfleet.isAutoscaled" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled -}}true{{- end -}}
{{- end -}}
