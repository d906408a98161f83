module vllm-platform/tools/prometheus-operator

go 1.27.3

require github.com/prometheus-operator/prometheus-operator v0.93.1 // indirect
