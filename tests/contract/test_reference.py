"""docs/reference.md is what the program says of itself."""

from tests.contract import reference


def test_it_is_current() -> None:
    """`python -m tests.contract.reference > docs/reference.md` writes it anew."""
    assert reference.FILE.read_text(encoding="utf-8") == reference.render()
