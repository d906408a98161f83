module vllm-platform/tools/external-secrets-controller/upstream

go 1.27.3

require github.com/external-secrets/external-secrets v0.20.4 // indirect
