"""Work that goes on after an interruption."""

import pytest

from cameraborn.engine.journal import Journal, Mark
from cameraborn.engine.local import map_in_order
from cameraborn.engine.resume import Task, UnlessKnown
from cameraborn.engine.stage import Stage


class Squares(Stage[int, int]):
    """Squares, of numbers that are written down; set up once."""

    def __init__(self):
        self.asked, self.ready = [], 0

    def setup(self):
        self.ready += 1

    def work(self, item):
        assert self.ready == 1
        self.asked.append(item)
        return item * item


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_is_known_is_not_worked_on(jobs):
    stage = Squares()
    tasks = [Task(1), Task(2, known=40), Task(3, known=0), Task(4)]
    found = list(map_in_order(UnlessKnown(stage), tasks, jobs))
    assert [task for task, _ in found] == tasks
    assert [value for _, value in found] == [1, 40, 0, 16]  # zero is known too
    assert sorted(stage.asked) == [1, 4]


def test_a_second_run_takes_from_the_journal_what_the_first_has_done(tmp_path):
    asked = []
    for numbers in [(1, 2), (1, 2, 3)]:
        stage = Squares()
        with Journal(tmp_path / "squares.part", {"of": "numbers"}) as journal:
            marks = [Mark(number, 0, 0) for number in numbers]
            tasks = [Task(mark.key, mark, (journal.get(mark) or (0, None))[1]) for mark in marks]
            for task, found in map_in_order(UnlessKnown(stage), tasks, 1):
                assert found == task.item**2
                if task.known is None:
                    journal.add(task.mark, found)
        asked.append(stage.asked)
    assert asked == [[1, 2], [3]]
