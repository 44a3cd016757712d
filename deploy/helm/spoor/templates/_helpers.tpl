{{- define "spoor.name" -}}
{{- if contains "spoor" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-spoor" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "spoor.selector" -}}
app.kubernetes.io/name: spoor
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spoor.labels" -}}
{{ include "spoor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "spoor.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "spoor.probe" -}}
httpGet:
  host: 127.0.0.1
  port: {{ .Values.telemetry.port }}
  path: /readyz
{{- end }}
