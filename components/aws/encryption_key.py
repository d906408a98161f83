"""A customer-managed key: for what AWS would otherwise encrypt with a key that nobody can revoke.

Owns: the key and its alias. Its use is left to IAM policies of the account, and to the services named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.kms import Alias, Key

from components.aws.policy_document import Statement, policy_document

DELETION_DAYS: Final = 30
"""Longest wait that KMS offers: with the key, everything encrypted with it is lost."""
USE: Final = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyArgs:
    """`alias` without `alias/`. `account_root` is the ARN of the account's root: IAM of the account decides on the rest.

    services: AWS services that use the key on behalf of the account, e.g. `logs.us-east-1.amazonaws.com`.
    """

    alias: str
    description: str
    account_root: str
    services: Sequence[str] = ()


class EncryptionKey(pulumi.ComponentResource):
    """Makes the key."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:security:EncryptionKey", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = Key(
            f"{name}-key",
            description=args.description,
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_DAYS,
            policy=policy_document(key_statements(args)),
            opts=child,
        )
        Alias(f"{name}-alias", name=f"alias/{args.alias}", target_key_id=key.key_id, opts=child)
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def key_statements(args: EncryptionKeyArgs) -> list[Statement]:
    """Return the key's policy. In a key policy `*` is the key itself; without the first statement nobody could ever change it."""
    statements = [
        Statement(sid="Account", actions=("kms:*",), resources=("*",), principals={"AWS": args.account_root})
    ]
    if args.services:
        statements.append(
            Statement(
                sid="Services", actions=USE, resources=("*",), principals={"Service": list(args.services)}
            )
        )
    return statements
