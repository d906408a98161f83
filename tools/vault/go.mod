module vllm-platform/tools/vault

go 1.27.3

require github.com/hashicorp/vault v1.21.0
require github.com/hashicorp/vault/sdk v0.20.0
require github.com/hashicorp/vault-plugin-auth-kubernetes v0.23.1
