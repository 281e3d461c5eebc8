"""The display of progress: a bar on a terminal, plain lines elsewhere."""

import io

from codesign.flow.display import Display, spent


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_shows_a_bar_with_the_time_left_after_two_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    show = Display(stream, live=True, clock=clock)
    show("search", 0, 100)
    clock.now = 1.0
    show("search", 10, 100)
    assert stream.getvalue() == ""
    clock.now = 25.0
    show("search", 25, 100, "loss 1.2")
    assert "search [######                  ]  25%, 75 s left  loss 1.2" in stream.getvalue()
    clock.now = 90.0
    show("search", 100, 100, "loss 0.9")
    assert stream.getvalue().endswith("search: 1 min 30 s, loss 0.9\n")


def test_elsewhere_lines_are_plain_and_few() -> None:
    stream, clock = io.StringIO(), Clock()
    show = Display(stream, live=False, clock=clock)
    for i in range(101):
        clock.now = i / 4
        show("search", i, 100)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "search ..."
    assert lines[-1] == "search: 25 s"
    assert len(lines) == 4
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_stage_without_steps_shows_at_once_that_it_began() -> None:
    stream = io.StringIO()
    show = Display(stream, live=True, clock=Clock())
    show("C simulation", 0, 1)
    assert "C simulation ..." in stream.getvalue()
    show.close()
    assert stream.getvalue().endswith("\n")


def test_the_time_left_of_resumed_work_counts_from_where_it_began() -> None:
    stream, clock = io.StringIO(), Clock()
    show = Display(stream, live=True, clock=clock)
    show("train", 80, 100)
    clock.now = 10.0
    show("train", 90, 100)
    assert " 90%, 10 s left" in stream.getvalue()


def test_a_stage_that_ends_twice_is_told_once() -> None:
    stream = io.StringIO()
    show = Display(stream, live=False, clock=Clock())
    show("train", 5, 9)
    show("train", 9, 9, "first")
    show("train", 9, 9, "again")
    assert stream.getvalue().splitlines() == ["train ...", "train: 0.0 s, first"]
    show("train", 0, 9)
    assert stream.getvalue().splitlines()[-1] == "train ..."


def test_durations_read_as_a_person_says_them() -> None:
    assert [spent(s) for s in (0.04, 9.94, 42, 93, 3599, 3700)] == [
        "0.0 s", "9.9 s", "42 s", "1 min 33 s", "59 min 59 s", "1 h 01 min",
    ]  # fmt: skip
