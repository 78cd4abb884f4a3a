{{/* The alerts: name, expr, for, severity, summary, description. docs/operations/runbooks has a page for each. */}}
{{- define "ringfleet.alerts" -}}
{{- $s := include "ringfleet.metricsSelector" . -}}
{{- $stale := .Values.metrics.prometheusRule.staleRowSeconds -}}
- name: RingfleetRowsStale
  expr: max(ringfleet_oldest_row_age_seconds{ {{- $s -}} }) > {{ $stale }}
  for: 30s
  severity: critical
  summary: Rows are not being worked
  description: The row that has waited longest was last worked {{ "{{ $value | humanizeDuration }}" }} ago.
- name: RingfleetTicksMissed
  expr: sum(increase(ringfleet_ticks_total{ {{- $s -}} ,result="missed"}[5m])) > 10
  for: 1m
  severity: warning
  summary: Workers miss ticks
  description: "{{ "{{ $value | humanize }}" }} ticks were not worked at all by a worker within 5 minutes."
- name: RingfleetTicksLate
  expr: sum(rate(ringfleet_ticks_total{ {{- $s -}} ,result="late"}[5m])) / sum(rate(ringfleet_ticks_total{ {{- $s -}} }[5m])) > 0.05
  for: 5m
  severity: warning
  summary: Ticks do not finish in time
  description: "{{ "{{ $value | humanizePercentage }}" }} of the ticks leave rows over: there are too few workers, or Postgres is too slow."
- name: RingfleetTicksRefused
  expr: sum(rate(ringfleet_ticks_total{ {{- $s -}} ,result="refused"}[5m])) > 0.2
  for: 2m
  severity: warning
  summary: Workers can't prove that they hold the sealed versions
  description: Workers refuse ticks as they hold other ring views or configs than those sealed.
- name: RingfleetNoLeader
  expr: (sum(ringfleet_leader{ {{- $s -}} }) or vector(0)) == 0
  for: 30s
  severity: critical
  summary: No control plane leads
  description: Work goes on, but no change of membership is answered till a replica leads.
- name: RingfleetTwoLeaders
  expr: sum(ringfleet_leader{ {{- $s -}} }) > 1
  for: 1m
  severity: warning
  summary: More than one replica holds itself for the leader
  description: Postgres lets only one publish, but that one replica trusts an ended lease points at its clock or event loop.
- name: RingfleetWorkersUnwell
  expr: max by (state) (ringfleet_members{ {{- $s -}} ,state=~"silent|unfit|foreign"}) > 0
  for: 2m
  severity: warning
  summary: "Workers are {{ "{{ $labels.state }}" }}"
  description: "{{ "{{ $value }}" }} workers are {{ "{{ $labels.state }}" }} for 2 minutes."
- name: RingfleetNoWorkers
  expr: (max(ringfleet_members{ {{- $s -}} ,state="seated"}) or vector(0)) == 0
  for: 1m
  severity: critical
  summary: No worker is seated
  description: Nobody works the rows.
- name: RingfleetImbalance
  expr: max(ringfleet_imbalance_ratio{ {{- $s -}} }) > 1.25
  for: 10m
  severity: warning
  summary: A worker has far more rows than its share
  description: "The fullest worker has {{ "{{ $value | humanize }}" }} times its share."
- name: RingfleetRingChurn
  expr: sum(increase(ringfleet_ring_changes_total{ {{- $s -}} }[15m])) > 30
  for: 1m
  severity: warning
  summary: The ring changes all the time
  description: "{{ "{{ $value | humanize }}" }} ring views within 15 minutes: workers come and go."
- name: RingfleetDigestMismatch
  expr: sum(increase(ringfleet_digest_mismatches_total{ {{- $s -}} }[10m])) > 0
  for: 1m
  severity: critical
  summary: Processes compute different rings or configs from one document
  description: Releases that don't agree, or a document that was changed by hand. Whoever differs works nothing.
- name: RingfleetHeartbeatsFail
  expr: sum(rate(ringfleet_heartbeats_total{ {{- $s -}} ,result="failed"}[2m])) > 0
  for: 2m
  severity: warning
  summary: Heartbeats don't reach Redis
  description: Work goes on; deaths, joiners and leavers are not seen till Redis is back.
- name: RingfleetFailingRows
  expr: sum by (reason) (ringfleet_failing_rows{ {{- $s -}} }) > 0
  for: 5m
  severity: warning
  summary: Rows are left out because their write fails
  description: "{{ "{{ $value }}" }} rows are left out ({{ "{{ $labels.reason }}" }})."
- name: RingfleetDatabaseClockBack
  expr: max(ringfleet_database_clock_step_back_seconds{ {{- $s -}} }) > 1
  for: 5s
  severity: critical
  summary: The clock of Postgres stepped back
  description: "No tick opens for {{ "{{ $value | humanizeDuration }}" }}, till the clock has caught up."
- name: RingfleetOldSnapshot
  expr: max(ringfleet_oldest_snapshot_age_seconds{ {{- $s -}} }) > 60
  for: 30s
  severity: warning
  summary: A transaction keeps dead row versions from being removed
  description: "It is open for {{ "{{ $value | humanizeDuration }}" }}; work_items grows by a version of each row a tick till it ends."
- name: RingfleetPoolExhausted
  expr: max by (pod) (ringfleet_pg_pool_connections{ {{- $s -}} ,state="waiting"}) > 0
  for: 2m
  severity: warning
  summary: Callers wait for Postgres connections
  description: "{{ "{{ $labels.pod }}" }}: {{ "{{ $value }}" }} callers wait for a connection for 2 minutes."
{{- end -}}
