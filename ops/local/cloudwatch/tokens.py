"""A text in one of CloudWatch's small languages, cut into words and read from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.local.cloudwatch.errors import UnsupportedError

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence


class Tokens:
    """Words of a text; the pattern says what a word is, and what is none is refused at once."""

    def __init__(self, text: str, word: re.Pattern[str], language: str) -> None:
        self.text = text
        self._language = language
        self._words = _cut(text, word, self)
        self._at = 0

    @property
    def next(self) -> str:
        """The word to come, empty at the end."""
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self) -> str:
        """The next word, which there must be."""
        if not self.next:
            raise self.error("ends too early")
        self._at += 1
        return self._words[self._at - 1]

    def accept(self, *words: str) -> str:
        """The next word if it is one of these (in upper or lower case), else nothing is taken."""
        return self.take() if self.next.lower() in {word.lower() for word in words} else ""

    def expect(self, *words: str) -> str:
        """The next word, which must be one of these."""
        return self.accept(*words) or self.fail(f"expected {' or '.join(words)}, found {self.next or 'the end'!r}")

    def end(self) -> None:
        """Nothing may be left."""
        if self.next:
            self.fail(f"{self.next!r} is not understood here")

    def fail(self, why: str) -> str:
        """Refuse the text.

        Raises:
            UnsupportedError: always.
        """
        raise self.error(why)

    def error(self, why: str) -> UnsupportedError:
        """The refusal of the text."""
        return UnsupportedError(f"{self._language} {self.text.strip()!r}: {why}")


def _cut(text: str, word: re.Pattern[str], tokens: Tokens) -> Sequence[str]:
    words, at = [], 0
    while at < len(text):
        found = word.match(text, at)
        if found is None or not found.group():
            raise tokens.error(f"{text[at:].split(maxsplit=1)[0]!r} is not understood on the laptop")
        at = found.end()
        if found.group().strip():
            words.append(found.group().strip())
    return words
