module vllm-platform/tools/cloudnative-pg-backups

go 1.27.3

require github.com/cloudnative-pg/plugin-barman-cloud v0.13.0 // indirect
