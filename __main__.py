"""vllm-platform: settings -> cluster -> rules -> nodes and storage -> platform -> data -> images -> models -> edge -> outputs.

All in one graph: what waits for what is said by data, and by the catalogue of add-ons.

`pulumi up` and `pulumi preview` run this file; `vp render` runs it under a recorder, by another name.
"""

import os
import sys
import warnings
from pathlib import Path

import pulumi

from components.addons.platform import install_platform
from components.aws.entry import create_cluster_base, create_cluster_services, create_edge
from components.cluster_rules import create_cluster_rules
from components.data import create_database
from components.deployability import refuse_what_can_not_run
from components.images import create_images
from components.kubernetes_provider import kubernetes_provider
from components.model_fleet import deploy_models
from components.routes import open_routes
from components.secret_delivery import SecretSource
from components.served_apis import refuse_what_is_not_served
from components.shared_claim import SharedClaim, SharedClaimArgs
from components.stack_outputs import export_all
from components.state_backend import PulumiRun
from settings import Settings, SettingsError, load_program_secrets, load_program_settings
from settings.storage import NoShare

# Tells Pulumi's language host that the user has been told: any other status adds a message of its own.
ALREADY_SAID = 32


def deploy(settings: Settings) -> None:
    """Declare everything that the settings ask for."""
    # Cluster
    base = create_cluster_base(settings, stack=pulumi.get_stack())
    kubernetes = kubernetes_provider(settings.cluster, base.api if base else None)
    on_cluster = pulumi.ResourceOptions(providers=[kubernetes])

    # Rules
    rules = create_cluster_rules(settings, on_cluster)

    # Nodes and storage
    services = create_cluster_services(settings, base, kubernetes)
    shared: list[pulumi.Resource] = []
    if not isinstance(settings.storage.shared, NoShare):
        claim = SharedClaimArgs(
            namespace=rules.namespace, share=settings.storage.shared, volume_handle=services.volume_handle
        )
        shared.append(SharedClaim("shared-weights", claim, on_cluster))

    # Platform, data and images
    own = load_program_secrets(settings)
    secrets = SecretSource(settings=settings, values=own, roles=services.around.secret_roles)
    addons = install_platform(settings, services.around, secrets, on_cluster)
    create_database(settings, services.around, addons, secrets, on_cluster)
    images = create_images(settings, base, own)

    # Models
    models = deploy_models(
        settings,
        namespace=rules.namespace,
        priorities=rules.priorities,
        images=images,
        addons=addons,
        before=services.before,
        secrets=secrets,
        claims=shared,
        on_cluster=on_cluster,
    )
    open_routes(settings, models, addons, secrets, namespace=rules.namespace, on_cluster=on_cluster)

    # Edge
    url = create_edge(settings, base, kubernetes, namespace=rules.namespace, addons=services.addons)

    # Exports
    export_all(settings, models, images, {**services.addons, **addons}, url)


def main() -> None:
    """Run the program; what is wrong with the settings is said in one message, without a traceback."""
    try:
        settings = load_program_settings()
        if __name__ == "__main__":
            run = PulumiRun(environment=os.environ, folder=Path.cwd(), home=Path.home())
            preview = pulumi.runtime.is_dry_run()
            refuse_what_can_not_run(settings, stack=pulumi.get_stack(), preview=preview, run=run)
            refuse_what_is_not_served(settings, stack=pulumi.get_stack())
        deploy(settings)
    except SettingsError as error:
        pulumi.log.error(str(error))
        # The stack's own registration is left half done, on purpose.
        warnings.filterwarnings("ignore", message="coroutine .* was never awaited")
        sys.exit(ALREADY_SAID)


main()
