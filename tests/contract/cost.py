"""What a stack costs, as `docs/cost.md`: python -m tests.contract.cost > docs/cost.md.

Counted from what the program registers, priced by the table of `ops.cost`.
"""

import sys
from collections.abc import Sequence
from decimal import Decimal

from ops.cost import fixed, knobs, paths, prices
from ops.cost.fixed import Item, Resource
from ops.cost.prices import Price
from tests.components.configurations import FIXED

_HEAD = f"""# What a stack costs

Made of what the program registers by `python -m tests.contract.cost`; a test keeps the two equal. `lab cost` shows the
same of one stack's own configuration, with the calls, bytes and durations of its runs where there were some, and says
of each figure whether it is measured or assumed (`make up` or `make check` installs `lab`):

```bash
lab cost
```

`lab cost --stack dev --measured-on local` prices a stack on AWS, deployed or not, by runs on the laptop;
`lab cost --stack dev --events 30000000 --size 2048 --own-keys` a month of traffic, evenly spread; `--set KEY=VALUE` the
same with another value of a configuration key. In US dollars, at list prices of {prices.REGION}; where each comes from
stands [below](#the-prices). Nothing of the free tier is
subtracted (10 alarm metrics, 10 custom metrics, 3 dashboards of at most 50 metrics, 100,000 traces, a million
invocations and a million SQS requests a month, for the whole account).

## Each month, before the first event

"""
_NOTES = """
`dev` and `prod` are the stacks of this tree: the events pipeline as `Pulumi.dev.yaml` and `Pulumi.prod.yaml` have it.
`everything on` is every pipeline and every option.

- Custom metrics are counted where alarms, the dashboard or filters name them. CloudWatch bills one only for the hours
  in which it has data, so this is the most; `RecordErrors` adds one for each type of error that occurs.
- Lambda waits at an empty queue with five long polls of 20 seconds at a time. A schedule's invocations are counted,
  not their milliseconds.
- With a customer key, each of its first two yearly rotations adds the price of a key. Its requests are not counted:
  SQS, SNS and DynamoDB keep a data key for minutes, the lake's buckets have bucket keys.
- What to leave out first: `observabilityEnabled: false` (not in production) takes away alarms, dashboard and filters.
  The metrics that functions print stay.
- Of provisioned pollers the least of them are counted, 730 hours each; those that come and go are not.
- Without observability nothing names the metrics that functions print, so that they are not counted.
- Not here: what the program does not make, such as the NAT gateway or the endpoints of a VPC.

## A million events more

What `everything on dev` adds for each million, before anything was measured: full batches, a business step that takes
no time, messages of half a kilobyte, one event a request, a success at the first attempt; of the lake, objects of one
chunk whose rows are of one type and day. Traces are 5 % of the invocations, which holds for many a second: X-Ray
records the first of each second, so that a trickle is traced whole, at up to $5 a million invocations. `--events` has
that, and that batches of a trickle are not full, counted.

"""
_KNOBS = """
## What a knob changes

The same configuration with one thing changed: dollars each month, and dollars a million events. A knob says how it
would stand; the last ones are habits of callers. Where a worker's batches are fuller, half of its time is taken to be
the invocation's and half the messages'. A record keeps its event's payload, up to 128 KB, and each of its writes is
paid by the kilobyte, so that larger events cost more there than anywhere else; what a step logs is paid by the byte.

"""
_PRICES = """
## The prices

AWS's pages fill their tables by script, so most numbers were read on sites that quote them. AWS's page is what holds.

"""


def render() -> str:
    """The whole document."""
    return "".join([_HEAD, _fixed(), _NOTES, *_per_million(), _KNOBS, *_changes(), _PRICES, *_prices()])


def _fixed() -> str:
    recordings = [configuration.recording().resources for configuration in FIXED]
    names = [configuration.name for configuration in FIXED]
    head = f"| each month | price of one | {' | '.join(names)} |\n|---|--:|{'--:|' * len(names)}\n"
    totals = [sum((item.dollars(r) for item in fixed.ITEMS), Decimal()) for r in recordings]
    rows = [
        f"| [{item.name}]({item.price.page}) | {_price(item.price)} | "
        f"{' | '.join(_cell(item, r) for r in recordings)} |\n"
        for item in fixed.ITEMS
    ]
    return "".join([head, *rows, f"| **in all** | | {' | '.join(f'**{total:.2f}**' for total in totals)} |\n"])


def _everything() -> Sequence[Resource]:
    (found,) = [one for one in FIXED if one.name == "everything on dev"]
    return found.recording().resources


def _usages() -> dict[str, paths.Usage]:
    shape = paths.Shape.of(_everything())
    return {name: paths.Usage.assumed(name, shape) for name in shape.pipelines}


def _per_million() -> list[str]:
    shape = paths.Shape.of(_everything())
    found = {name: {line.name: line for line in paths.lines(name, shape, usage)} for name, usage in _usages().items()}
    items = dict.fromkeys(item for lines in found.values() for item in lines)
    cells = {item: [f"{one[item].per_million:.2f}" if item in one else "" for one in found.values()] for item in items}
    rows = [f"| {item} | {' | '.join(row)} |\n" for item, row in cells.items()]
    totals = [f"**{paths.per_million(name, shape, usage):.2f}**" for name, usage in _usages().items()]
    return [
        f"| item | {' | '.join(found)} |\n|---|{'--:|' * len(found)}\n",
        *rows,
        f"| **in all** | {' | '.join(totals)} |\n",
    ]


def _changes() -> list[str]:
    usages = _usages()
    found = knobs.changes(_everything(), usages)
    cells = {one.knob: [one.monthly, *(one.per_million.get(name, 0) for name in usages)] for one in found}
    rows = [f"| {knob} | {' | '.join(map(_change, row))} |\n" for knob, row in cells.items()]
    return [f"| knob | each month | {' | '.join(usages)} |\n|---|--:|{'--:|' * len(usages)}\n", *rows]


def _prices() -> list[str]:
    head = "| one | dollars | AWS's page | read |\n|---|--:|---|---|\n"
    return [head, *(f"| {one.unit} | {_price(one)} | <{one.page}> | {one.read} |\n" for one in prices.ALL)]


def _change(dollars: float) -> str:
    return f"{dollars:+.2f}" if dollars else ""


def _price(price: Price) -> str:
    if price.dollars >= Decimal("0.001"):
        return _digits(price.dollars)
    return f"{_digits(price.dollars * 1_000_000)} per million"


def _digits(dollars: Decimal) -> str:
    """At least two behind the point."""
    cents = dollars.quantize(Decimal("0.01"))
    return f"{cents if cents == dollars else dollars.normalize():f}"


def _cell(item: Item, resources: Sequence[Resource]) -> str:
    return f"{item.count(resources):,} = {item.dollars(resources):.2f}"


if __name__ == "__main__":
    sys.stdout.write(render())
