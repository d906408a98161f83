module vllm-platform/tools/istio

go 1.27.3

require istio.io/api v1.30.3 // indirect
