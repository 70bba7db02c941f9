"""The API's key authorizer: who is let through, how keys are exchanged, and what happens when they can't be read."""

import hmac
import io
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from handlers.aws import clients as aws
from handlers.control import authorizer as module
from handlers.control.authorizer import (
    BETWEEN_READS_MS,
    FRESH_MS,
    STALE_MS,
    Authorizer,
    Keys,
    KeysError,
    Parameter,
    Secret,
)
from tests.handlers.conftest import FakeClock
from tests.handlers.fakes import FakeContext, client_error

ARN = "arn:aws:ssm:eu-central-1:123456789012:parameter/keys"
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-a1B2c3"
OLD, NEW, NEWEST, WRONG = "old-" + "o" * 20, "new-" + "n" * 20, "newest-" + "w" * 20, "wrong-" + "x" * 20


class FakeStore:
    """A store of keys that can be away, and counts how often it is asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.error: Exception | None = None
        self.reads = 0

    def values(self) -> Iterator[str]:
        self.reads += 1
        if self.error:
            raise self.error
        yield from self.texts


@pytest.fixture
def store() -> FakeStore:
    """A store with one key."""
    return FakeStore(OLD)


@pytest.fixture
def judge(store: FakeStore) -> Authorizer:
    """The real authorizer on it."""
    return Authorizer(Keys(store))


def request(*shown: Any, route: str = "POST /events") -> dict[str, Any]:
    """API Gateway's event for a request that shows this."""
    return {"version": "2.0", "type": "REQUEST", "routeKey": route, "identitySource": list(shown)}


def lets(judge: Authorizer, *shown: Any) -> bool:
    """Whether who shows this is let through; besides that the answer only names the key."""
    answer = judge.handle(request(*shown))
    assert answer.get("context", {"keyName": ""}).keys() == {"keyName"}
    return answer["isAuthorized"]


def lines(log_stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged."""
    return [json.loads(line) for line in log_stream.getvalue().splitlines()]


def test_the_key_opens_and_no_other(judge: Authorizer) -> None:
    """Neither another key, nor a part of the good one, nor more than it, nor another case."""
    assert lets(judge, OLD)
    assert [
        shown for shown in (WRONG, OLD[:-1], OLD + "o", OLD.upper(), f"{OLD},{OLD}", f" {OLD}") if lets(judge, shown)
    ] == []


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ([], "NoKey"),
        ([""], "NoKey"),
        ([None], "NoKey"),
        ([[OLD]], "NoKey"),
        ([OLD, OLD], "NoKey"),
        (["short"], "MalformedKey"),
        (["k" * 10_240], "MalformedKey"),
        (["schlüssel-" + "ü" * 20], "MalformedKey"),
        (["\ud800" * 20], "MalformedKey"),
        ([f"{OLD}\n"], "MalformedKey"),
        ([WRONG], "UnknownKey"),
    ],
)
def test_what_is_shown_in_place_of_a_key(
    judge: Authorizer, store: FakeStore, log_stream: io.StringIO, sources: list[Any], reason: str
) -> None:
    """Each refusal is one line that gives its reason and the route, and nothing of what was shown."""
    assert judge.handle(request(*sources)) == {"isAuthorized": False}

    (line,) = lines(log_stream)
    assert (line["message"], line["level"], line["reason"]) == ("caller refused", "WARNING", reason)
    assert line["route"] == "POST /events"
    assert not [source for source in sources if source and str(source) in log_stream.getvalue()]
    assert store.reads == (1 if reason == "UnknownKey" else 0)


def test_the_key_is_named_by_its_place(store: FakeStore, judge: Authorizer) -> None:
    """For the access log: which of the good keys it was, and nothing of the key."""
    store.texts = [f"{NEW},{OLD}"]

    assert [judge.handle(request(key)) for key in (NEW, OLD)] == [
        {"isAuthorized": True, "context": {"keyName": name}} for name in ("key-1", "key-2")
    ]


@pytest.mark.parametrize(
    "event", [{}, {"identitySource": None}, {"identitySource": OLD}, {"identitySource": {"a": OLD}}]
)
def test_events_that_api_gateway_would_not_send(judge: Authorizer, event: dict[str, Any]) -> None:
    """What is not understood is refused."""
    assert judge.handle(event) == {"isAuthorized": False}


def test_who_is_let_through_is_not_logged(judge: Authorizer, log_stream: io.StringIO) -> None:
    """One line per refusal, none per request."""
    assert lets(judge, OLD)
    assert log_stream.getvalue() == ""


def test_keys_are_remembered_for_a_minute(judge: Authorizer, store: FakeStore, fake_clock: FakeClock) -> None:
    """Good keys cost one read a minute, however many requests there are."""
    for _ in range(10):
        assert lets(judge, OLD)
    fake_clock.advance(FRESH_MS - 1)
    assert lets(judge, OLD)
    assert store.reads == 1
    fake_clock.advance(1)
    assert lets(judge, OLD)
    assert store.reads == 2


def test_exchange_of_a_key(judge: Authorizer, store: FakeStore, fake_clock: FakeClock) -> None:
    """Pair written, callers move one by one, old key dropped: nobody with a good key is refused at any moment."""
    assert lets(judge, OLD)
    fake_clock.advance(BETWEEN_READS_MS)
    store.texts = [f"{NEW},{OLD}"]
    assert lets(judge, NEW)  # unknown until now: read again at once
    assert lets(judge, OLD)
    fake_clock.advance(FRESH_MS)
    assert lets(judge, OLD)
    store.texts = [NEW]
    assert lets(judge, OLD)  # until the memory of it ends
    fake_clock.advance(FRESH_MS)
    assert (lets(judge, OLD), lets(judge, NEW)) == (False, True)


def test_a_flood_of_wrong_keys_is_not_one_of_reads(judge: Authorizer, store: FakeStore, fake_clock: FakeClock) -> None:
    """Thousands of unknown keys over a minute: one read every three seconds, and good callers get through it."""
    assert lets(judge, OLD)
    for number in range(6_000):
        fake_clock.advance(10)
        assert not lets(judge, f"{WRONG}{number}")
        assert lets(judge, OLD)

    assert store.reads == 1 + 60_000 // BETWEEN_READS_MS


@pytest.mark.parametrize(
    "error",
    [client_error("ThrottlingException"), client_error("AccessDeniedException"), ReadTimeoutError(endpoint_url="x")],
)
def test_stale_keys_are_used_for_a_quarter_of_an_hour(
    judge: Authorizer, store: FakeStore, fake_clock: FakeClock, error: Exception
) -> None:
    """While the store is away known keys open and others don't; after that nobody is judged, and a read mends it."""
    assert lets(judge, OLD)
    store.error = error
    fake_clock.advance(STALE_MS - 1)
    assert (lets(judge, OLD), lets(judge, WRONG)) == (True, False)
    fake_clock.advance(1)
    for shown in (OLD, WRONG):
        with pytest.raises(KeysError, match=r"^the keys can't be read$"):
            lets(judge, shown)
    store.error = None
    fake_clock.advance(BETWEEN_READS_MS)
    assert (lets(judge, OLD), lets(judge, WRONG)) == (True, False)


def test_an_outage_from_the_beginning(judge: Authorizer, store: FakeStore, fake_clock: FakeClock) -> None:
    """Without ever having read a key nobody is let through, nobody is told that his key is wrong, and reads are few."""
    store.error = client_error("InternalServerError")
    for _ in range(5):
        with pytest.raises(KeysError):
            lets(judge, OLD)
    assert store.reads == 1
    store.error = None
    fake_clock.advance(BETWEEN_READS_MS)
    assert lets(judge, OLD)


def test_an_outage_is_told_without_a_key(judge: Authorizer, store: FakeStore, log_stream: io.StringIO) -> None:
    """One line with AWS's own code."""
    store.error = client_error("AccessDeniedException")
    with pytest.raises(KeysError):
        lets(judge, OLD)

    (line,) = lines(log_stream)
    assert (line["message"], line["level"], line["errorType"]) == ("keys not read", "ERROR", "AccessDeniedException")
    assert OLD not in log_stream.getvalue()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (OLD, [OLD]),
        (f"  {OLD}\n", [OLD]),
        (f"{NEW},{OLD}", [NEW, OLD]),
        (f"{NEW}, {OLD}", [NEW, OLD]),
        (json.dumps({"apiKey": OLD}), [OLD]),
        (json.dumps({"apiKey": f"{NEW},{OLD}", "note": WRONG}), [NEW, OLD]),
    ],
)
def test_forms_of_a_secret(text: str, good: list[str]) -> None:
    """Bare or in a JSON object, one key or two."""
    judge = Authorizer(Keys(FakeStore(text)))

    assert [key for key in (OLD, NEW, NEWEST, WRONG) if lets(judge, key)] == [k for k in (OLD, NEW) if k in good]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "short",
        f"{OLD},",
        f"{OLD},short",
        f"{OLD},{NEW},{NEWEST}",
        "{",
        "{}",
        json.dumps({"key": OLD}),
        json.dumps({"apiKey": [OLD]}),
        json.dumps({"apiKey": None}),
        json.dumps([OLD]),
        json.dumps(OLD),
        "k" * 129,
    ],
)
def test_a_secret_that_is_none(text: str, log_stream: io.StringIO) -> None:
    """What can't be understood whole opens to nobody, least of all to an empty key, and is told without being shown."""
    judge = Authorizer(Keys(FakeStore(text)))

    for shown in (OLD, NEW, "None" * 5):
        with pytest.raises(KeysError):
            lets(judge, shown)
    assert lines(log_stream)[0]["errorType"] == "NoKey"
    assert not lets(judge, "")
    assert OLD not in log_stream.getvalue()


def test_a_key_spoilt_while_running(judge: Authorizer, store: FakeStore, fake_clock: FakeClock) -> None:
    """A value that is no key is like a store that is away: what was good stays so for a quarter of an hour."""
    assert lets(judge, OLD)
    store.texts = ["typo"]
    fake_clock.advance(FRESH_MS)
    assert (lets(judge, OLD), lets(judge, "typo")) == (True, False)


def test_a_previous_value_that_is_no_key_is_left_out() -> None:
    """A secret's first value is often a placeholder; it opens nothing and does no harm."""
    judge = Authorizer(Keys(FakeStore(NEW, "change-me")))

    assert (lets(judge, NEW), lets(judge, "change-me")) == (True, False)


def test_every_key_is_compared_to_the_end(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many comparisons whichever key is shown, all of digests of one length: the time tells nothing."""
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def spy(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second)))
        return real(first, second)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    store.texts = [f"{NEW},{OLD}", NEWEST]
    judge = Authorizer(Keys(store))
    for shown in (NEW, OLD, NEWEST, WRONG):
        compared.clear()
        lets(judge, shown)
        assert compared == [(32, 32)] * 3


class FakeSecrets:
    """Secrets Manager with one secret."""

    class exceptions:  # noqa: N801 - as the client has them
        """What it raises."""

        class ResourceNotFoundException(ClientError):  # noqa: N818 - AWS's own name
            """There is no such version."""

    def __init__(self, **stages: str) -> None:
        self.stages = stages
        self.throttled = ""

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, Any]:
        assert SecretId == SECRET_ARN
        if VersionStage == self.throttled:
            raise client_error("ThrottlingException")
        if VersionStage not in self.stages:
            raise self.exceptions.ResourceNotFoundException({"Error": {"Code": "ResourceNotFoundException"}}, "Get")
        return {"SecretString": self.stages[VersionStage]}


def of(secrets: FakeSecrets) -> Authorizer:
    """The authorizer on Secrets Manager."""
    return Authorizer(Keys(Secret(cast("Any", secrets), SECRET_ARN)))


def test_rotation_in_secrets_manager(fake_clock: FakeClock) -> None:
    """The current and the previous value are good, so a rotation refuses nobody; the next one ends the first key."""
    secrets = FakeSecrets(AWSCURRENT=OLD)
    judge = of(secrets)
    assert (lets(judge, OLD), lets(judge, NEW)) == (True, False)
    secrets.stages = {"AWSCURRENT": NEW, "AWSPREVIOUS": OLD}
    fake_clock.advance(FRESH_MS)
    assert (lets(judge, OLD), lets(judge, NEW)) == (True, True)
    secrets.stages = {"AWSCURRENT": NEWEST, "AWSPREVIOUS": NEW}
    fake_clock.advance(FRESH_MS)
    assert [key for key in (OLD, NEW, NEWEST) if lets(judge, key)] == [NEW, NEWEST]


def test_a_secret_that_is_gone() -> None:
    """No current value is an outage, not an empty list of keys."""
    with pytest.raises(KeysError):
        lets(of(FakeSecrets()), OLD)


def test_a_previous_value_that_is_not_answered(fake_clock: FakeClock) -> None:
    """Only one that does not exist is left out: else a good caller would be refused for want of an answer."""
    secrets = FakeSecrets(AWSCURRENT=NEW, AWSPREVIOUS=OLD)
    secrets.throttled = "AWSPREVIOUS"
    judge = of(secrets)
    with pytest.raises(KeysError):
        lets(judge, OLD)
    secrets.throttled = ""
    fake_clock.advance(BETWEEN_READS_MS)
    assert lets(judge, OLD)


class FakeSsm:
    """SSM with one parameter."""

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:
        assert (Name, WithDecryption) == (ARN, True)
        return {"Parameter": {"Value": f"{NEW},{OLD}"}}


def test_parameter_of_ssm() -> None:
    """Both of the pair in the decrypted parameter are good."""
    judge = Authorizer(Keys(Parameter(cast("Any", FakeSsm()), ARN)))

    assert [key for key in (OLD, NEW, WRONG) if lets(judge, key)] == [OLD, NEW]


@pytest.mark.parametrize(("arn", "service"), [(ARN, "ssm"), (SECRET_ARN, "secretsmanager")])
def test_entry_point(monkeypatch: pytest.MonkeyPatch, arn: str, service: str) -> None:
    """The ARN says which service is asked; its client is made once, and the handler answers with what it says."""
    made: list[tuple[str, int]] = []
    clients = {"ssm": FakeSsm(), "secretsmanager": FakeSecrets(AWSCURRENT=NEW, AWSPREVIOUS=OLD)}

    def client(name: str, *, read_timeout: int) -> Any:
        made.append((name, read_timeout))
        return clients[name]

    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setenv("ENVIRONMENT", "dev")
    monkeypatch.setenv("API_KEYS_ARN", arn)
    module.authorizer.cache_clear()
    answers = [module.handler(request(key), FakeContext())["isAuthorized"] for key in (OLD, NEW, WRONG)]
    module.authorizer.cache_clear()

    assert answers == [True, True, False]
    assert made == [(service, 1)]
