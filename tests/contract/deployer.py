"""What whoever deploys may have to do, as `docs/deployer.md`: python -m tests.contract.deployer > docs/deployer.md.

Made of what the program registers, by `ops.rights`.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from ops.rights.actions import RIGHTS
from ops.rights.documents import LARGEST, documents
from tests.components.configurations import FIXED, Configuration
from tests.components.recording import ACCOUNT, REGION

PLACE = {"partition": "aws", "region": REGION, "account": ACCOUNT}
_HEAD = f"""# What whoever deploys needs

Made of what the program registers by `python -m tests.contract.deployer`; a test keeps the two equal. Others
have a linter with AWS's tables say that each action is one, on resources that it is checked on, and see that
all calls that the laptop's own deployer makes for such resources are granted. Nobody has deployed to AWS with
these policies yet: where an action is missing, AWS's refusal names it, and its place is
`ops/rights/actions.py`.

```bash
lab rights --stack dev --account {ACCOUNT} --output /tmp/lab-deploy
```

writes them for a stack's own configuration, region and account: as many files as it takes, each no larger than a
managed policy may be ({LARGEST:,} characters). Make each a policy (`aws iam create-policy --policy-name lab-deploy-1
--policy-document file:///tmp/lab-deploy/deploy-1.json`) and attach them to the role that runs `pulumi up`. A change of
the configuration that brings something new (a pipeline, `useKmsCmk`, `deletionAllowed`) takes new ones.

They hold for `pulumi preview`, `up`, `refresh` and `destroy`. Not in them: where Pulumi keeps its state (a bucket, a
key), and what [`lab` does](tools.md) with a stack that is there.

## How narrow they are

- Names that the program gives are there as they are, or up to the stack's name: `IngestionLab-dev-*`. A stack `dev` has
  those of `dev-eu` with it.
- Names that Pulumi makes up have `?` for each of the characters at their end: `events-queue-???????`. Two stacks of one
  account share them, as the names' beginnings are the same. With `autonaming` of your own in `Pulumi.yaml` they differ.
- Keys and event source mappings have ids that nobody knows beforehand: they are told by the tags `Project` and `Stack`.
  With `tagRestricted` they have none, and the statements are for all keys and mappings of the region.
- A role is passed only to the service that its trust names.
- With `permissionsBoundaryArn`, roles are made and given policies only with that boundary, and it can't be taken from
  them. **Without one, whoever may deploy may give the functions' roles any right, and so has any**: in an account that
  others share, set it.

Broad, because AWS offers nothing narrower:

- API Gateway's APIs have ids that nobody knows beforehand, and their parts no tags: `/apis/*` of the region.
- Tags can be set on any key and mapping, as they are set when it is made. Who tags a key of others as this stack's may
  then use it as far as its key policy leaves that to IAM: deny `kms:TagResource` on those, if there are such.
- What stands under `Anywhere` below: AWS checks it on no resource, or lists by it.

## The policies of `dev`

As `Pulumi.dev.yaml` has it, in {REGION}, account {ACCOUNT}.

"""
_TYPES = """
## By type of resource

Those that `everything on prod` registers. `with tags`: on resources with the stack's tags alone.

| type | on it | anywhere | with tags |
|---|---|---|---|
"""


def _of(name: str) -> Configuration:
    (found,) = [one for one in FIXED if one.name == name]
    return found


def policies(configuration: Configuration) -> list[dict[str, Any]]:
    """Those of a configuration, in the region and account of the tests."""
    return documents(configuration.recording().resources, configuration.stack, PLACE)


def render() -> str:
    """The whole document."""
    shown = (f"```json\n{json.dumps(document, indent=1)}\n```\n" for document in policies(_of("dev")))
    return "".join([_HEAD, "\n".join(shown), _TYPES, *_rows()])


def _rows() -> Iterator[str]:
    kinds = {one.type for one in _of("everything on prod").recording().resources}
    for kind in sorted(kinds & RIGHTS.keys()):
        rights = RIGHTS[kind]
        cells = (
            " ".join(f"`{one}`" for one in sorted(some))
            for some in (rights.actions, rights.anywhere, rights.known_by_tags)
        )
        yield f"| `{kind.rpartition(':')[2]}` | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(render())
