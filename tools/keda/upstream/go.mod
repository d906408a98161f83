module vllm-platform/tools/keda/upstream

go 1.27.3

require github.com/kedacore/keda/v2 v2.20.2 // indirect
