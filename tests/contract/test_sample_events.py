"""The sample events of `lab invoke` are what AWS hands to the functions, as the handlers' own models read it."""

import json
from typing import Any

import pytest

from handlers.events import model as events
from handlers.lake import message as lake
from handlers.lake import notice
from handlers.orders import message as orders
from handlers.orders import model as order
from handlers.worker import messages
from ops.cli.invoke import FRESH, SAMPLES
from tests.contract import sample_events

_SAMPLES = sample_events.samples()


def test_files_are_what_the_models_give() -> None:
    """Each, and no other; `python -m tests.contract.sample_events` writes them anew."""
    assert {path.stem: path.read_text(encoding="utf-8") for path in SAMPLES.iterdir()} == {
        name: sample_events.text(event) for name, event in _SAMPLES.items()
    }


@pytest.mark.parametrize("name", _SAMPLES)
def test_each_is_new_work_every_time(name: str) -> None:
    """What identifies it is new in each invocation."""
    assert FRESH in json.dumps(_SAMPLES[name])


def _only(name: str, form: messages.Form | None = None) -> messages.Message:
    (message,) = messages.unique(_SAMPLES[name]["Records"], form)
    assert message.fault is None
    return message


def _body(name: str) -> Any:
    return json.loads(_SAMPLES[name]["body"])


def test_models_take_them() -> None:
    """Their payloads are valid, and their keys are found where the workers look for them."""
    assert events.validate(_body("http-event"))["orderId"] == f"order-{FRESH}"
    assert order.validate(_body("http-order"))["items"] == [{"sku": "ABC-1", "qty": 2}]
    event = _only("sqs-event")
    assert (event.key, events.validate(event.payload)) == (f"invoke-{FRESH}", _body("http-event"))
    assert _only("sqs-order", orders.FORM).key == FRESH
    (found,) = notice.read(_only("sqs-s3-notice", notice.FORM).payload, "lake")
    chunk = lake.Chunk.from_payload(_only("sqs-chunk").payload)
    assert (found.bucket, found.key, found.version_id) == (
        chunk.source.bucket,
        chunk.source.key,
        chunk.source.version_id,
    )
