module vllm-platform/tools/external-secrets

go 1.27.3

require github.com/external-secrets/external-secrets v1.3.2 // indirect
