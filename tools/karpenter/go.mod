module vllm-platform/tools/karpenter

go 1.27.3

require github.com/aws/karpenter-provider-aws v1.14.1 // indirect
