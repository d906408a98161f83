module vllm-platform/tools/kong

go 1.27.3

require github.com/kong/kubernetes-configuration v1.4.0 // indirect
