"""Ray: the same results in the same order, whoever dies in the middle; verbs give on it what they give on threads.

Everything that needs Ray is in this file, so that it is started once; two workers, as an actor each takes seconds.
"""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cameraborn.detect.store import read_bundle
from cameraborn.engine import ray as module
from cameraborn.engine.ray import RayEngine
from cameraborn.engine.stage import Stage
from cameraborn.engine.storage import entries, inside, read, write
from cameraborn.errors import CalibrationError, EngineError

from ..command import CAMERABORN, ENVIRONMENT, posix, rows_of, run_here, wait_until
from ..conftest import varied_copies

pytestmark = [
    posix,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
pytest.importorskip("ray.data", reason="needs pip install 'cameraborn[cluster]'")
WORKERS = 2


@pytest.fixture(scope="module", autouse=True)
def cluster(bucket):
    """Ray with two workers, which see the environment of this moment: the bucket's."""
    import ray

    module.connect(WORKERS)
    yield
    ray.shutdown()


@dataclass
class Work(Stage):
    """Squares a number; does to some numbers, once or always, what a stage should not do."""

    folder: str
    dies_at: int | None = None
    once: bool = True
    refuses: int | None = None

    def setup(self):
        self.power = lambda item: item**2  # which cannot travel

    def work(self, item):
        mark = Path(self.folder) / "died"
        if item == self.refuses:
            raise CalibrationError("too few photographs")
        if item == self.dies_at and not (self.once and mark.exists()):
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return self.power(item), os.getpid()


def test_results_come_in_order_though_a_worker_is_killed(tmp_path):
    results = list(RayEngine(WORKERS, at_once=2).map(Work(str(tmp_path), dies_at=13), iter(range(40))))
    assert (tmp_path / "died").exists()
    assert [value for value, _ in results] == [number**2 for number in range(40)]
    assert os.getpid() not in {pid for _, pid in results}


def test_items_are_drawn_as_results_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WINDOW", 1)
    drawn = []
    results = RayEngine(1).map(Work(str(tmp_path)), (drawn.append(n) or n for n in itertools.count()))
    assert next(results)[0] == 0
    assert 0 < len(drawn) <= 16 * 16
    results.close()


def test_an_error_of_the_work_is_raised_as_it_is(tmp_path):
    with pytest.raises(CalibrationError, match=r"^too few photographs$"):
        list(RayEngine(1).map(Work(str(tmp_path), refuses=3), range(5)))


def test_work_that_kills_every_worker_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_DEATHS", 1)
    with pytest.raises(EngineError, match=r"^Ray: the work was given up \(.*\): look at the workers' memory"):
        list(RayEngine(1).map(Work(str(tmp_path), dies_at=0, once=False), [0]))


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Twenty pictures, two of which cannot be read."""
    folder = tmp_path_factory.mktemp("ray") / "album"
    varied_copies(folder, 20, seed=7)
    (folder / "004.jpg").write_bytes(b"no picture")
    (folder / "011.jpg").write_bytes((folder / "012.jpg").read_bytes()[:900])
    return folder


@pytest.fixture(scope="module")
def expected(album, tiny_bundle):
    """The rows that threads give."""
    out = album.parent / "expected.jsonl"
    assert run_here("score", "album", "--bundle", tiny_bundle, "-o", out, cwd=album.parent)[0] == 4
    return out.read_text(encoding="utf-8")


def on_ray(tiny_bundle, *more):
    return ["--engine", "ray", "--jobs", "2", "--bundle", tiny_bundle, "--parts", "jsonl", *more]


def rows_in(folder):
    return b"".join(read(entry.address) for entry in entries(inside(str(folder), "rows"))).decode("utf-8")


def workers_of(driver):
    """The processes of Ray's actors that a driver's own instance has started."""
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    lines = [line.split(None, 2) for line in found.stdout.splitlines()[1:]]
    own = {driver}
    for pid, parent, _ in sorted(lines, key=lambda line: int(line[0])):
        if int(parent) in own:
            own.add(int(pid))
    return [int(pid) for pid, _, words in lines if int(pid) in own and "MapWorker" in words]


def test_a_folder_is_scored_to_the_last_digit_though_a_worker_is_killed(
    album, expected, tiny_bundle, tmp_path
):
    killed = []

    def kill_one():
        wait_until(lambda: (tmp_path / "out" / "done").is_dir() and workers_of(os.getpid()), seconds=120)
        killed.append(workers_of(os.getpid())[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    command = ["score", "album", "-o", tmp_path / "out", *on_ray(tiny_bundle)]
    code, _, error = run_here(*command, cwd=album.parent)
    killer.join()
    assert killed
    assert code == 4, error
    assert "20 pictures, 2 unreadable" in error
    assert rows_in(tmp_path / "out") == expected


def test_a_run_whose_driver_was_killed_goes_on(album, expected, tiny_bundle, tmp_path):
    done = tmp_path / "out" / "done"
    command = ["score", "album", "-o", tmp_path / "out", *on_ray(tiny_bundle, "--part-size", "1")]
    driver = subprocess.Popen(
        [CAMERABORN, *map(os.fspath, command)],
        cwd=album.parent,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: done.is_dir() and len(list(done.glob("*[0-9].json"))) >= 3, seconds=180)
    workers = workers_of(driver.pid)
    driver.kill()
    driver.wait()
    assert workers
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    kept = {path: path.stat().st_mtime_ns for path in done.glob("*[0-9].json")}
    assert 3 <= len(kept) < 20
    code, _, error = run_here(*command, cwd=album.parent)
    assert code == 2
    assert "holds a run already: go on with --resume" in error
    code, _, error = run_here(*command, "--resume", cwd=album.parent)
    assert code == 4
    assert f"going on; parts done already: {len(kept)}" in error
    assert rows_in(tmp_path / "out") == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_object_storage_to_object_storage(album, expected, tiny_bundle, bucket, tmp_path):
    """A folder, a manifest and a table there name the same pictures."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = sorted(path.name for path in album.iterdir())[:6]
    for name in names:
        write(f"{bucket}/in/{name}", (album / name).read_bytes())
    write(f"{bucket}/in/notes.txt", b"no picture")
    rows = [{"path": f"in/{name}", "sha256": "0" * 64} for name in [*names, "gone.jpg"]]
    write(f"{bucket}/list.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    parquet.write_table(
        pa.table({"path": [f"{bucket}/in/{name}" for name in names]}), tmp_path / "list.parquet"
    )
    inputs = [f"{bucket}/in", f"{bucket}/list.jsonl", "list.parquet"]
    out = f"{bucket}/out"
    code, _, error = run_here("score", *inputs, "-o", out, *on_ray(tiny_bundle), cwd=tmp_path)
    assert code == 4, error
    assert "1 file passed over" in error

    def without_path(row):
        own = row["path"].rpartition("/")[2]
        return own, {**row, "path": "", "error": row["error"] and row["error"].partition(": ")[2]}

    local = [without_path(row) for row in rows_of(expected) if without_path(row)[0] in names]
    found = [row for row in rows_of(rows_in(out)) if not row["path"].endswith("gone.jpg")]
    assert [without_path(row) for row in found] == local * 3
    (gone,) = [row for row in rows_of(rows_in(out)) if row["path"].endswith("gone.jpg")]
    assert gone["error"] == f"{bucket}/in/gone.jpg: no such file: check the address"
    assert json.loads(read(f"{out}/manifest.json"))["inputs"] == 19


LEARNING = {
    "fit": ["--copies", "1", "--components", "1", "--dimensions", "2"],
    "fit-binary": ["--generated", "fakes", "--copies", "1", "--components", "1", "--dimensions", "2"],
    "calibrate": ["--copies", "2"],
}


@pytest.mark.parametrize("verb", LEARNING)
def test_learning_gives_the_same_bundle(verb, album, tiny_bundle, tmp_path):
    varied_copies(tmp_path / "fakes", 3, seed=8)
    for engine in ("local", "ray"):
        options = ["--engine", engine, "--jobs", "2", "--bundle", tiny_bundle, *LEARNING[verb]]
        assert run_here(verb, album, "-o", f"{engine}/made", *options, cwd=tmp_path)[0] == 0
    made = {engine: read_bundle(tmp_path / engine / "made").files for engine in ("local", "ray")}
    assert made["local"] == made["ray"]


def test_a_benchmark_gives_the_same_scores(album, tiny_bundle, tmp_path):
    varied_copies(tmp_path / "fakes", 3, seed=8)
    for engine in ("local", "ray"):
        (tmp_path / f"{engine}.toml").write_text(
            f'output = "{engine}"\ndetectors = ["{tiny_bundle}", "sharpness"]\n'
            'degradations = ["none", "jpeg:60"]\n[[sets]]\nname = "set"\n'
            f'photographs = {{ real = "{album}" }}\ngenerated = {{ gan = "fakes" }}\n'
        )
        assert run_here("bench", f"{engine}.toml", "--engine", engine, "--jobs", "2", cwd=tmp_path)[0] == 0
    found = {}
    for engine in ("local", "ray"):
        with (tmp_path / engine / "scores.csv").open(encoding="utf-8", newline="") as opened:
            found[engine] = [row | {"seconds": ""} for row in csv.DictReader(opened)]
    assert found["local"] == found["ray"]
    assert len(found["local"]) > 2 * 2 * 20


def test_usage_statistics_and_dashboard_are_off():
    import ray

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not ray._private.worker._global_node.address_info.get("webui_url")


def test_the_engine_is_not_imported_without_being_asked_for():
    code = "import cameraborn, cameraborn.cli, sys; cameraborn.load()\n"
    code += "print({'ray', 'pyarrow', 'pandas', 'fsspec'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_numbers_and_arrays_travel_as_they_are():
    class Same(Stage):
        def work(self, item):
            return item

    items = [1, np.float32(0.1), "a", None, np.arange(3, dtype=np.float32), (1, "x"), {"a": [1]}]
    for given, found in zip(items, RayEngine(1).map(Same(), items), strict=True):
        assert type(given) is type(found)
        np.testing.assert_equal(found, given)
