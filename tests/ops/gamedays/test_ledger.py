"""The arithmetic of the ledger, whatever is found."""

from hypothesis import given
from hypothesis import strategies as st

from ops.gamedays.ledger import FAILED, SUCCEEDED, Facts, Ledger, Letter, Record, Told

_IDS = st.sampled_from([f"e-{number}" for number in range(8)])
_RECORDS = st.dictionaries(
    _IDS, st.builds(Record, st.sampled_from([SUCCEEDED, FAILED, "INFLIGHT", "RETRYING"]), st.integers(0, 9))
)
_FACTS = st.builds(
    Facts,
    _RECORDS,
    st.lists(st.builds(Letter, _IDS)),
    st.lists(st.builds(Told, _IDS, st.sampled_from(["a", "b"]))),
    st.integers(0, 20),
)


@given(st.frozensets(_IDS), _FACTS)
def test_every_accepted_event_is_in_exactly_one_column(accepted: frozenset[str], facts: Facts) -> None:
    """Accepted = succeeded + dead-lettered + in flight + lost; none is negative, none is counted twice."""
    ledger = Ledger(accepted, facts)
    columns = list(ledger.columns().values())

    assert columns[0] == sum(columns[1:])
    assert min(columns) >= 0
    assert not ledger.succeeded & ledger.dead
    assert ledger.succeeded | ledger.dead | ledger.open == accepted
    assert ledger.in_flight <= facts.waiting


@given(st.frozensets(_IDS), _FACTS)
def test_what_comes_out_even_is_what_it_says(accepted: frozenset[str], facts: Facts) -> None:
    """No fault: nothing lost, each success told under one id, nobody both dead and done, no stranger; and reversed."""
    ledger = Ledger(accepted, facts)
    ids = {one: {told.event_id for told in facts.told if told.id == one} for one in accepted}
    letters = {letter.id for letter in facts.letters}
    even = (
        len(ledger.open) <= facts.waiting
        and all(len(found) == (one in ledger.succeeded) for one, found in ids.items())
        and not letters & ledger.succeeded
        and {*facts.records, *letters, *(told.id for told in facts.told)} <= accepted
    )

    assert (ledger.faults() == []) == even


@given(st.frozensets(_IDS, min_size=1))
def test_a_quiet_stack_has_lost_what_it_does_not_show(accepted: frozenset[str]) -> None:
    """Nothing found and nothing in the queue is no proof of anything: all are lost."""
    assert Ledger(accepted, Facts()).lost == len(accepted)


def test_a_success_that_is_told_again_is_no_second_one() -> None:
    """The bus delivers at least once: the same id again is a repetition, another id is a second processing."""
    records = {"e": Record(SUCCEEDED, 1)}

    again = Ledger(frozenset({"e"}), Facts(records, (), (Told("e", "x"), Told("e", "x"))))
    twice = Ledger(frozenset({"e"}), Facts(records, (), (Told("e", "x"), Told("e", "y"))))

    assert (again.faults(), again.repeated()) == ([], 1)
    assert twice.faults() == ["1 events were processed twice: their success has several event ids: e"]
