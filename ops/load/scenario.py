"""What a load run sends: each event follows from its number alone, so that any number of senders can share a run."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

Event = dict[str, Any]

PATHS = {"events": "/events", "orders": "/orders"}
FAILING_SKU = "FAIL-ME"
POISON = {"schemaVersion": "2"}  # what `lab failure set poison_payload --match schemaVersion=2` strikes
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to POST: its body, and the headers that go with it."""

    body: Event
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The events or orders of a run, whose name sets them apart from those of other runs. Shares in percent."""

    run: str
    pipeline: Literal["events", "orders"] = "events"
    template: Event | None = None  # {run}, {n} and {group} in its texts are replaced; a text "{n}" becomes the number
    duplicates: float = 0  # that are an earlier one once more
    poison: float = 0  # that the worker is to refuse
    groups: int = 0  # customers to spread over; 0: none is named

    def item(self, number: int) -> Item:
        """Return the one with this number, from 0 on."""
        first = self._first(number)
        body = self._body(first)
        return Item(body, {"Idempotency-Key": f"{self.run}-{first}"} if self.pipeline == "orders" else {})

    def _first(self, number: int) -> int:
        """The number that this one repeats, itself where it repeats none."""
        while number and self._draws("duplicate", number, self.duplicates):
            number = random.Random(f"{self.run} earlier {number}").randrange(number)  # noqa: S311 - made-up load
        return number

    def _body(self, number: int) -> Event:
        group = f"customer-{number % self.groups}" if self.groups else ""
        is_poison = self._draws("poison", number, self.poison)
        customer = {"customerId": group} if group else {}
        if self.template is not None:
            filled = _filled(self.template, {"run": self.run, "n": str(number), "group": group}, number)
            return {**filled, **customer, **(POISON if is_poison else {})}
        if self.pipeline == "orders":
            sku = FAILING_SKU if is_poison else f"SKU-{number % 7}"
            return {"items": [{"sku": sku, "qty": 1}], **customer}
        order = {"orderId": f"order-{self.run}-{number}", "amount": 10 + number % 90, "currency": "EUR"}
        return {**order, **customer, **(POISON if is_poison else {})}

    def _draws(self, what: str, number: int, percent: float) -> bool:
        return bool(percent) and random.Random(f"{self.run} {what} {number}").random() * _PERCENT < percent  # noqa: S311


def _filled(value: Any, words: dict[str, str], number: int) -> Any:  # noqa: ANN401 - as free as JSON
    if isinstance(value, dict):
        return {name: _filled(child, words, number) for name, child in value.items()}
    if isinstance(value, list):
        return [_filled(child, words, number) for child in value]
    if not isinstance(value, str):
        return value
    if value == "{n}":
        return number
    for name, word in words.items():
        value = value.replace(f"{{{name}}}", word)
    return value
