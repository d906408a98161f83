"""What the settings of secrets and of the audit stream mean; part of `meanings`."""

from typing import Final

SECRET_MEANINGS: Final[dict[str, str]] = {
    "Settings.secrets": "Where the Secrets that other sections name come from (`docs/secrets.md`); in `prod` from a store.",
    "ManualSecrets.kind": "somebody makes them before",
    "PulumiSecrets.kind": "the program makes them, of the stack's own secrets `NAME.KEY`",
    "VaultSecrets.kind": "External Secrets brings them from HashiCorp Vault",
    "VaultSecrets.address": "Of a Vault that is there, `https://` only; left out: the add-on's own.",
    "VaultSecrets.authority": "Certificate in PEM of who signed that Vault's; left out: a public authority.",
    "VaultSecrets.prefix": "Begins every path, policy and role; another one for each stack.",
    "VaultSecrets.mount": "Path of the key-value store (version 2).",
    "VaultSecrets.auth_mount": "Path of the login of Kubernetes accounts.",
    "VaultSecrets.refresh_minutes": "How often a Secret is compared with the store, 1 to 1440.",
    "AwsSecrets.kind": "External Secrets brings them from AWS Secrets Manager",
    "AwsSecrets.prefix": "Begins every name; another one for each stack.",
    "AwsSecrets.refresh_minutes": "How often a Secret is compared with the store, 1 to 1440.",
    "Settings.audit": "Where it is kept who did what, so that nobody can change it (`docs/audit.md`); must be there in `prod`.",
    "NoAudit.kind": "nothing beyond the control plane's own log group",
    "ExternalAudit.kind": "whoever runs the cluster keeps the audit log of its API",
    "S3Audit.kind": "a bucket on Amazon S3 that the program creates, written once",
    "S3Audit.bucket": "Name of the bucket; nothing else lies in it.",
    "S3Audit.days": "How long nothing in it can be changed or deleted, 1 to 3650; after that it is deleted.",
    "S3Audit.mode": "`governance`: whoever has a right of its own can unlock an object; `compliance`: nobody can.",
}
