"""What a day of a type's rows is expected to be like, beyond what each row must be: `EXPECTATIONS` in the type's file.

A row that breaks its type's limits goes to quarantine. A day that breaks an expectation stays where it is, and is told
(`lab lake gate`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """Each that is given is checked, for each day.

    `unique` names the fields that no two rows of a day share, `bounds` the least and the greatest value of fields
    (None: no limit). `quarantine_percent` is the greatest share of the rows of the objects that the day's rows came in.
    `fresh_hours` is how old the newest `event_time` of the type's last day may be.
    """

    unique: tuple[str, ...] = ()
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    quarantine_percent: float | None = None
    fresh_hours: float | None = None
