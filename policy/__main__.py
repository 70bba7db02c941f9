"""The pack as the engine starts it: `pulumi up --policy-pack policy`."""

from pulumi_policy import EnforcementLevel, PolicyPack
from rules import POLICIES

PolicyPack(name="ingestion-lab", enforcement_level=EnforcementLevel.MANDATORY, policies=[*POLICIES])
