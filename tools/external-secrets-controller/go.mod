module vllm-platform/tools/external-secrets-controller

go 1.27.3

// The module without the clients of three dozen stores: `upstream` is a copy of it that a build makes.
replace github.com/external-secrets/external-secrets => ./upstream

replace github.com/Masterminds/sprig/v3 => github.com/external-secrets/sprig/v3 v3.3.0

require github.com/external-secrets/external-secrets v0.20.4
