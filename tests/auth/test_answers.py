"""Which answers are void, and who the parent is: the rule without a database."""

from tasks_api.auth.answers import REMEMBERED, Answers

ALL = 2**REMEMBERED - 1


def test_the_parent_is_the_last_answer_before_those_that_were_lost() -> None:
    answers = Answers(5, 0, 0)
    assert answers.parent == 4
    for lost in range(1, 4):
        again = answers.answered_again()
        assert again
        answers = again
        assert (answers.counter, answers.parent) == (5 + lost, 4)
        assert [answers.is_void(counter) for counter in (4, 5, 4 + lost)] == [False, True, True]
    rotated = answers.rotated()
    assert (rotated.counter, rotated.parent) == (9, 8)


def test_void_answers_are_remembered_over_rotations() -> None:
    answers = Answers(1, 0, 0).answered_again()
    assert answers
    for _ in range(REMEMBERED - 1):
        answers = answers.rotated()
        assert answers.is_void(1)
        assert not answers.is_void(2)
    assert not answers.rotated().is_void(1)  # by now its access token has run out


def test_a_void_token_never_passes_for_the_parent() -> None:
    assert Answers(70, 0, ALL).answered_again() is None
    assert Answers(70, 0, ALL >> 1).answered_again() == Answers(71, 0, ALL)
    assert Answers(70, 0, ALL).rotated() == Answers(71, 0, ALL - 1)
