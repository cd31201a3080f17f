"""Which answers of a session are void, and which token is the parent of the current one. No database, no Flask.

An answer is a pair of tokens with one counter. The parent is the refresh token that the current answer was given
to. When it comes again, late, and nothing of the current answer has been used, that answer was lost: the parent
gets another one, and the one presumed lost is void. Whoever then acts with a void answer shows that there are two
holders. A count of void answers instead of a bit for each would forget at the next rotation which they were.
"""

from typing import Any, NamedTuple

REMEMBERED = 62  # answers before the current one; what a bigint has room for
_ALL = 2**REMEMBERED - 1


class Answers(NamedTuple):
    """What a session's row keeps of its answers.

    ``counter`` is the current answer's, ``used`` the highest one whose access token was let in while it was
    current, ``void`` has a bit for each answer before the current one, bit 0 for the newest.
    """

    counter: int
    used: int
    void: int

    @classmethod
    def of(cls, row: Any) -> "Answers":
        """Those of a row; where an older process has rotated since, its void answers count for nothing."""
        void = row.void_answers if row.void_counter == row.counter else 0
        return cls(row.counter, row.used_counter, void)

    @property
    def parent(self) -> int:
        """The counter of the refresh token that the current answer was given to."""
        void_in_a_row = (~self.void & (self.void + 1)).bit_length() - 1
        return self.counter - 1 - void_in_a_row

    @property
    def is_unused(self) -> bool:
        """Whether no access token of the current answer was let in."""
        return self.used < self.counter

    def is_void(self, counter: int) -> bool:
        """Whether the answer with this counter was presumed lost."""
        age = self.counter - 1 - counter
        return 0 <= age < REMEMBERED and bool(self.void >> age & 1)

    def rotated(self) -> "Answers":
        """After the current refresh token was answered."""
        return self._replace(counter=self.counter + 1, void=self.void << 1 & _ALL)

    def answered_again(self) -> "Answers | None":
        """After the parent was answered again; None: it was too often, and a void token must never pass for it."""
        if self.void == _ALL:
            return None
        return self._replace(counter=self.counter + 1, void=(self.void << 1 | 1) & _ALL)
