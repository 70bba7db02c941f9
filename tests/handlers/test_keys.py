"""The scopes of idempotency keys in the one state table of all pipelines."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.idempotency.claims import Claim, KeyRequest, Standing
from handlers.idempotency.keys import MAX_KEY_BYTES, partition_key
from handlers.idempotency.store import StateStore
from tests.handlers.fakes import FakeAws

_PIPELINES = ("events", "orders", "lake")
_KEYS = st.one_of(st.text("aé/:#", min_size=1), st.sampled_from([f"{name}/k" for name in _PIPELINES]))


@given(st.tuples(st.sampled_from(_PIPELINES), _KEYS), st.tuples(st.sampled_from(_PIPELINES), _KEYS))
def test_two_keys_never_share_a_place(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whatever they look like: a place is of one pipeline and one key."""
    assert (partition_key(*one) == partition_key(*other)) == (one == other)


@pytest.mark.parametrize(
    ("pipeline", "key", "place"),
    [
        ("events", "order-7", "order-7"),
        ("events", "orders/order-7", "events/orders/order-7"),
        ("orders", "order-7", "orders/order-7"),
        ("lake", "bronze/bronze/x/y.json#e", "lake/bronze/bronze/x/y.json#e"),
    ],
)
def test_places(pipeline: str, key: str, place: str) -> None:
    """Records outlive a deployment, so this is no detail: a key of events that its API takes is a place itself."""
    assert partition_key(pipeline, key) == place


def test_the_longest_key_has_room_for_its_scope() -> None:
    """DynamoDB takes 2,048 bytes."""
    assert all(len(partition_key(name, "/" * MAX_KEY_BYTES)) <= 2048 for name in _PIPELINES)


def test_pipelines_do_not_see_each_others_keys() -> None:
    """The same key with other payloads: each pipeline claims, completes and reads its own."""
    aws = FakeAws()
    stores = {name: StateStore(cast("Any", aws), "t", pipeline=name, ttl_days=7) for name in _PIPELINES}

    claims: dict[str, Claim] = {}
    for name, store in stores.items():
        claims |= {name: store.claim([KeyRequest("k", name, "m", f'"{name}"')], lease_until=9_999_999_999_999)["k"]}
    assert [claim.lease and claim.lease.key for claim in claims.values()] == ["k", "k", "k"]

    for name, store in stores.items():
        found = store.get("k") or {}
        assert (found["idempotencyKey"], found["payload"]) == ({"S": "k"}, {"S": f'"{name}"'})
        again = store.reserve([KeyRequest("k", "another", "m", "")])["k"]
        assert (again.standing, again.record and again.record.key) == (Standing.CONFLICT, "k")
    assert sorted(aws.items) == ["k", "lake/k", "orders/k"]
