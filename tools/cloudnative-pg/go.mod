module vllm-platform/tools/cloudnative-pg

go 1.27.3

require github.com/cloudnative-pg/cloudnative-pg v1.30.0 // indirect
