"""What goes on around the business step: it is given valid orders, and the orders table says what became of each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from handlers import clock, jsontext
from handlers.errors import Detail, PermanentError, SchemaValidationError
from handlers.faults import FaultSwitch
from handlers.idempotency import claims
from handlers.orders import model
from handlers.orders.store import Orders

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

FAILING_SKU = "FAIL-ME"
_MAJOR_VERSION = "1."  # what comes with another minor one is still understood
_AHEAD_MS = 24 * 3600 * 1000  # of a producer's clock; an order that is newer than all to come could not be superseded
_GIVEN = ("customerId", "orderId", "items")
_CREATED = "a time in UTC, to the millisecond, at most a day ahead"
_IDENTITY = ("eventId", "orderId", "createdAt")

Process = Callable[[jsontext.JsonObject], jsontext.Json]


class FailingSkuError(PermanentError):
    """An item with the SKU that stands for an order which can't be filled."""


class Fulfilment:
    """Works one order: the step, then the order as PROCESSED; or as FAILED, where the step says that it can't be."""

    def __init__(self, orders: Orders, process: Process) -> None:
        self._orders = orders
        self._process = process

    def __call__(self, detail: jsontext.JsonObject) -> jsontext.Json:
        """The result of an order's event; `superseded` says that a newer event of the order was processed before."""
        with noting_failure(self._orders, detail):
            result = self._process(_order(detail))
        written = self._orders.put(detail)
        return {"orderId": detail["orderId"], "superseded": not written, "result": result}


class OrderFaults(FaultSwitch):
    """The failure lab's faults, and one more: an order with the SKU `FAIL-ME` fails for good.

    It stands for an order that has to be repaired first. So it fails however often it is delivered, until it comes
    back by a redrive: then it counts as repaired.
    """

    def __init__(self, ssm: "SSMClient", parameter: str, orders: Orders) -> None:
        super().__init__(ssm, parameter)
        self._orders = orders

    def disturb(
        self, key: str, attempt: int, payload: jsontext.JsonObject, *, seconds_left: float, redriven: bool = False
    ) -> None:
        """Fails or delays one attempt at one order, if it is meant.

        Raises:
            IngestionError: the failure that the mode or the SKU makes.
        """
        with noting_failure(self._orders, payload):
            super().disturb(key, attempt, payload, seconds_left=seconds_left, redriven=redriven)
            if not redriven and FAILING_SKU in _skus(payload):
                raise FailingSkuError(f"an item has the SKU {FAILING_SKU}")


@contextmanager
def noting_failure(orders: Orders, detail: jsontext.JsonObject) -> Iterator[None]:
    """Writes the order as FAILED when the block says that it can't be filled.

    The letter to the dead-letter queue follows; should the process die in between, all of it happens again.
    """
    try:
        yield
    except PermanentError as exc:
        if _names_an_order(detail):
            orders.fail(detail, exc)
        raise


def _order(detail: jsontext.JsonObject) -> jsontext.JsonObject:
    """The order of an event. Every principal of the account may put events, so its detail is not yet an order.

    Raises:
        SchemaValidationError: it is none.
    """
    version = detail.get("schemaVersion")
    if not isinstance(version, str) or not version.startswith(_MAJOR_VERSION):
        raise SchemaValidationError(Detail("/schemaVersion", f"must start with {_MAJOR_VERSION}"))
    if not _names_an_order(detail):
        raise SchemaValidationError(Detail("", f"must have {', '.join(_IDENTITY)} ({_CREATED}) and items"))
    return detail | model.validate({name: value for name, value in detail.items() if name in _GIVEN})


def _names_an_order(detail: jsontext.JsonObject) -> bool:
    event_id, order_id, created_at = (text if isinstance(text := detail.get(name), str) else "" for name in _IDENTITY)
    return claims.is_key(event_id) and model.is_id(order_id) and _is_past(created_at) and "items" in detail


def _is_past(created_at: str) -> bool:
    """Whether it is a time, in the form whose texts sort by time, and not to come."""
    moment = clock.from_iso(created_at)
    return moment is not None and 0 <= moment <= clock.now_ms() + _AHEAD_MS


def _skus(detail: jsontext.JsonObject) -> set[object]:
    items = detail.get("items")
    return {item.get("sku") for item in items if isinstance(item, dict)} if isinstance(items, list) else set()
