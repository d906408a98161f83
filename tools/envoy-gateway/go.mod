module vllm-platform/tools/envoy-gateway

go 1.27.3

require github.com/envoyproxy/gateway v1.9.1 // indirect
