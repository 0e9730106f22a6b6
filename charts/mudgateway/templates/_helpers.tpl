{{- define "mudgateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The prefix of all names: the release's name, with the chart's name where it does not say it already. */}}
{{- define "mudgateway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "mudgateway.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mudgateway.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mudgateway.operator.fullname" -}}
{{- include "mudgateway.fullname" . }}-operator
{{- end }}

{{- define "mudgateway.operator.serviceAccountName" -}}
{{- default (include "mudgateway.operator.fullname" .) .Values.operator.serviceAccount.name }}
{{- end }}

{{- define "mudgateway.nats.fullname" -}}
{{- include "mudgateway.fullname" . }}-nats
{{- end }}

{{/* For objects, not for pods: a new version of the chart alone must not restart a pod. */}}
{{- define "mudgateway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mudgateway.operator.selectorLabels" -}}
app.kubernetes.io/name: mudgateway-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "mudgateway.operator.podLabels" -}}
{{ include "mudgateway.operator.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: mudgateway
{{- end }}

{{- define "mudgateway.operator.labels" -}}
{{ include "mudgateway.operator.podLabels" . }}
{{ include "mudgateway.labels" . }}
{{- end }}

{{- define "mudgateway.nats.selectorLabels" -}}
app.kubernetes.io/name: nats
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "mudgateway.nats.podLabels" -}}
{{ include "mudgateway.nats.selectorLabels" . }}
app.kubernetes.io/component: bus
app.kubernetes.io/part-of: mudgateway
{{- end }}

{{- define "mudgateway.nats.labels" -}}
{{ include "mudgateway.nats.podLabels" . }}
{{ include "mudgateway.labels" . }}
{{- end }}

{{- define "mudgateway.image" -}}
{{- with .image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.default .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* The headless Service by which the servers of NATS find each other. */}}
{{- define "mudgateway.nats.peers" -}}
{{- include "mudgateway.nats.fullname" . }}-peers
{{- end }}

{{/* The Secret with the keys of NATS, which the operator makes. */}}
{{- define "mudgateway.nats.authSecret" -}}
{{- include "mudgateway.nats.fullname" . }}-auth
{{- end }}

{{/* All servers that there may be: the keys are made once, and more servers may come with another release. */}}
{{- define "mudgateway.nats.hosts" -}}
{{- $hosts := list }}
{{- range $index := until 3 }}
{{- $hosts = append $hosts (printf "%s-%d.%s.%s.svc" (include "mudgateway.nats.fullname" $) $index (include "mudgateway.nats.peers" $) $.Release.Namespace) }}
{{- end }}
{{- join "," $hosts }}
{{- end }}

{{- define "mudgateway.nats.streamReplicas" -}}
{{- .Values.nats.streamReplicas | default (ternary .Values.nats.replicas 1 .Values.nats.enabled) }}
{{- end }}

{{/* The Secret with the certificates by which NATS is known, as name and key; empty without TLS of ours. */}}
{{- define "mudgateway.nats.ca" -}}
{{- if .Values.nats.enabled }}
{{- with .Values.nats.tls.serverSecret }}{{ dict "name" . "key" "ca.crt" | toJson }}{{ end }}
{{- else if .Values.nats.tls.caSecret.name }}
{{- toJson .Values.nats.tls.caSecret }}
{{- end }}
{{- end }}

{{/* The files that the operator needs for NATS: a list of flag, Secret, entry and folder. */}}
{{- define "mudgateway.nats.files" -}}
{{- $files := list }}
{{- $nats := .Values.nats }}
{{- if not $nats.enabled }}
{{- range list (list "nats-credentials-file" $nats.auth.credentialsSecret "credentials") (list "nats-signing-key-file" $nats.auth.signingKeySecret "signing-key") (list "gateway-nats-credentials-file" $nats.auth.gatewayCredentialsSecret "gateway-credentials") }}
{{- $secret := index . 1 }}
{{- if $secret.name }}
{{- $files = append $files (dict "flag" (index . 0) "secret" $secret.name "key" $secret.key "folder" (index . 2)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with include "mudgateway.nats.ca" . }}
{{- $ca := fromJson . }}
{{- $files = append $files (dict "flag" "nats-ca-file" "secret" $ca.name "key" $ca.key "folder" "ca") }}
{{- end }}
{{- range list (list "" $nats.tls.clientSecret "client") (list "gateway-" $nats.tls.gatewayClientSecret "gateway-client") }}
{{- if index . 1 }}
{{- $files = append $files (dict "flag" (printf "%snats-certificate-file" (index . 0)) "secret" (index . 1) "key" "tls.crt" "folder" (printf "%s-certificate" (index . 2))) }}
{{- $files = append $files (dict "flag" (printf "%snats-key-file" (index . 0)) "secret" (index . 1) "key" "tls.key" "folder" (printf "%s-key" (index . 2))) }}
{{- end }}
{{- end }}
{{- toJson $files }}
{{- end }}

{{- define "mudgateway.nats.url" -}}
{{- if .Values.nats.enabled }}
{{- printf "%s://%s.%s.svc:4222" (ternary "tls" "nats" (not (empty .Values.nats.tls.serverSecret))) (include "mudgateway.nats.fullname" .) .Release.Namespace }}
{{- else }}
{{- required "nats.url is required when nats.enabled is false" .Values.nats.url }}
{{- end }}
{{- end }}

{{/* What the Pod Security level "restricted" asks of a pod. */}}
{{- define "mudgateway.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* And of a container. */}}
{{- define "mudgateway.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What the operator may do, and nothing else. */}}
{{- define "mudgateway.operator.rules" -}}
- apiGroups: [intermud.dev]
  resources: [mudgateways]
  # Patched for the finalizer alone.
  verbs: [get, list, watch, patch]
- apiGroups: [intermud.dev]
  resources: [mudgateways/status]
  verbs: [patch]
- apiGroups: [intermud.dev]
  # To own objects where the API server asks for that right (OwnerReferencesPermissionEnforcement).
  resources: [mudgateways/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  # Deleted when an older MudGateway turns out to have the mud's name.
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, tcproutes, tlsroutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  # To see where they listen, and so under which address a mud is reached.
  resources: [gateways]
  verbs: [get]
- apiGroups: [""]
  # Of Secrets it watches metadata only. It reads those that a MudGateway names, to see that the key is there,
  # and makes those for API keys and for the mirror of router passwords.
  resources: [configmaps, secrets, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
