"""What a stack may ask for, and the facts it is checked against.

Pure: no Pulumi, except inside one function of the loader.
"""

from settings.cluster import Cluster, EksCluster, ExistingCluster, RehearsalCluster
from settings.engine import Engine, TrustRemoteCode
from settings.facts import GpuFacts, InstanceFacts, ModelFacts
from settings.keda import KedaScaling
from settings.loader import (
    build,
    load_program_secrets,
    load_program_settings,
    load_stack_file,
    read_draft,
)
from settings.models import Amounts, Lifecycle, Model, Resources, Selector
from settings.pools import (
    Capacity,
    CapacityBlock,
    CpuPool,
    GpuPool,
    KarpenterProvisioner,
    ManagedProvisioner,
    OnDemandCapacity,
    Placement,
    Pool,
    Provisioner,
    ReservedCapacity,
    SpotCapacity,
)
from settings.problems import Problem, SettingsError
from settings.registry import EcrRegistry, ExternalRegistry, Image, Registry
from settings.release import Release, ReleaseChange
from settings.rollout import CanaryRollout, Candidate, Judge, RollingRollout, Rollout
from settings.scalars import EXAMPLE_DIGEST
from settings.scaling import (
    Autoscaling,
    FixedScaling,
    HpaScaling,
    PackedSpread,
    Spread,
    ZoneSpread,
)
from settings.stack import Settings
from settings.weights import BakedWeights, CachedWeights, Mount, StreamedWeights, Weights

__all__ = [
    "EXAMPLE_DIGEST",
    "Amounts",
    "Autoscaling",
    "BakedWeights",
    "CachedWeights",
    "CanaryRollout",
    "Candidate",
    "Capacity",
    "CapacityBlock",
    "Cluster",
    "CpuPool",
    "EcrRegistry",
    "EksCluster",
    "Engine",
    "ExistingCluster",
    "ExternalRegistry",
    "FixedScaling",
    "GpuFacts",
    "GpuPool",
    "HpaScaling",
    "Image",
    "InstanceFacts",
    "Judge",
    "KarpenterProvisioner",
    "KedaScaling",
    "Lifecycle",
    "ManagedProvisioner",
    "Model",
    "ModelFacts",
    "Mount",
    "OnDemandCapacity",
    "PackedSpread",
    "Placement",
    "Pool",
    "Problem",
    "Provisioner",
    "Registry",
    "RehearsalCluster",
    "Release",
    "ReleaseChange",
    "ReservedCapacity",
    "Resources",
    "RollingRollout",
    "Rollout",
    "Selector",
    "Settings",
    "SettingsError",
    "SpotCapacity",
    "Spread",
    "StreamedWeights",
    "TrustRemoteCode",
    "Weights",
    "ZoneSpread",
    "build",
    "load_program_secrets",
    "load_program_settings",
    "load_stack_file",
    "read_draft",
]
