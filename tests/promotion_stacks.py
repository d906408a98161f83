"""Three small stacks for rehearsals, each promoted from the one before, written as somebody would write them."""

from pathlib import Path
from typing import Final

MODEL: Final = "qwen3-embedding"
STACKS: Final = ("dev", "staging", "prod")
SOURCES: Final = {"staging": "dev", "prod": "staging"}
ADDONS: Final = {"dev": "", "staging": "", "prod": "  vllm-platform:addons: {istio: existing}\n"}
REPOSITORY: Final = "llm/vllm-qwen3-embedding"
REVISION: Final = "c54f2e6e80b2d7b7de06f51cec4959f6b3e03418"
FORMER: Final = "sha256:" + "ab" * 32
"""What staging and prod run before anything is promoted."""

_TEXT: Final = """\
# The stack {stack}: a small one.
config:
  pulumi:disable-default-providers: [aws, kubernetes]
  vllm-platform:environment: {stack}
  vllm-platform:cluster: {{kind: rehearsal, name: {stack}, version: "1.36", region: us-east-1, zones: [us-east-1a]}}
  vllm-platform:registry: {{kind: external, host: {host}}}
{addons}{promotion}  vllm-platform:pools:
    - {{kind: cpu, name: platform, instance_type: c6i.4xlarge, min: 1, max: 1, provisioner: {{kind: karpenter}}, capacity: {{kind: on-demand}}}}
    - kind: gpu
      name: a10
      instance_type: g5.2xlarge
      min: 1
      max: 2 # one for the surge
      provisioner: {{kind: karpenter}}
      capacity: {{kind: on-demand}}
  vllm-platform:models:
    - name: {model}
      model: Qwen/Qwen3-Embedding-0.6B
      revision: {revision} # pinned
      tier: best-effort
      task: embed
      image:
        repository: {repository}
        tag: {tag}
        digest: "{digest}"
      selector: {{pool: a10}}
      resources:
        requests: {{cpu: "2", memory: 8Gi}}
        limits: {{cpu: "4", memory: 16Gi}}
      engine:
        max_num_seqs: {max_num_seqs} # at once
      weights: {{kind: baked, path: /opt/model}}
      autoscaling: {{kind: fixed, replicas: 1}}
      spread: {{kind: pack}}
"""


def stack_text(
    stack: str,
    *,
    host: str = "registry.invalid",
    tag: str = "v1.0",
    digest: str = FORMER,
    max_num_seqs: int = 16,
    soak_seconds: int = 0,
) -> str:
    """Return a stack file. host: of its registry. soak_seconds: that its source must have run."""
    promotion = (
        f"  vllm-platform:promotion: {{source: {SOURCES[stack]}, soak_seconds: {soak_seconds}}}\n"
        if stack in SOURCES
        else ""
    )
    return _TEXT.format(
        stack=stack,
        host=host,
        addons=ADDONS[stack],
        promotion=promotion,
        model=MODEL,
        revision=REVISION,
        repository=REPOSITORY,
        tag=tag,
        digest=digest,
        max_num_seqs=max_num_seqs,
    )


def stack_path(root: Path, stack: str) -> Path:
    """Return where a stack's file is."""
    return root / f"Pulumi.{stack}.yaml"
