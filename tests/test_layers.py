"""The house: who may import whom, what starts without torch, and what no line of it does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "cameraborn"
FILES = sorted(SOURCE.rglob("*.py"))

# A room imports only rooms before it.
ROOMS = [
    *(
        "errors",
        "files",
        "registry",
        "toml",
        "engine",
        "photo",
        "degrade",
        "data",
        "detect",
        "fit",
        "library",
    ),  # work without torch
    *("networks", "train", "pseudo", "pretext", "binary", "rivals", "bench", "report", "serve", "cli"),
]
MAY_IMPORT = {room: {*ROOMS[: place + 1]} for place, room in enumerate(ROOMS)}
MAY_IMPORT["detect"] -= {"data"}
MAY_IMPORT["cli"] |= {""}
MAY_IMPORT |= {"__init__": {*ROOMS} - {"cli"}, "__main__": {"cli", "errors"}}
TORCH_ROOMS = {"networks", "train", "pseudo", "pretext", "binary", "rivals"}
TRAINING = {"torch", "tensorboard", "onnx", "onnxscript"}

PICKLES = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "asyncio", "requests", "httpx", "aiohttp"}
HARMLESS = {"urllib.parse", "http"}  # texts in, texts out
LISTENING = {"asyncio", "socket"}  # what the server alone may use
CALLS_C = "photo/libtiff.py"  # the one file that may use ctypes: Pillow has no way to libtiff's error handler
OPENS_SESSIONS = "photo/onnx_session.py"
PROCESSES = {"subprocess", "ctypes"}  # and processes of our own are started in one room alone

LONGEST = 450  # lines of a file
ONE_IDEA = {"detect/evidence/em.py"}  # may be longer

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def imports(file):
    """Every module that a file imports anywhere, as (line, dotted name)."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import hides who calls whom"
            yield node.lineno, node.module or ""


def room_of(file):
    inside = file.relative_to(SOURCE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_a_room_imports_only_rooms_above_it(file):
    room = room_of(file)
    assert room in MAY_IMPORT, f"{room}: a new room has its place in ROOMS, and in the design"
    for line, name in imports(file):
        package, _, inside = name.partition(".")
        if package == "cameraborn":
            target = inside.partition(".")[0]
            assert target in MAY_IMPORT[room], (
                f"{file}:{line}: {room} imports {target or 'the package itself'}"
            )
        if package in TRAINING:
            assert room in TORCH_ROOMS, f"{file}:{line}: {room} must work without {package}"
        if name == "ctypes" and file == SOURCE / CALLS_C:
            continue
        assert package != "onnxruntime" or file == SOURCE / OPENS_SESSIONS, (
            f"{file}:{line}: imports {name}, which reports to its maker unless photo.onnx_session imports it"
        )
        if name not in (HARMLESS | LISTENING if room == "serve" else HARMLESS):
            assert package not in PICKLES | NETWORK | PROCESSES, f"{file}:{line}: imports {name}"
        assert package != "multiprocessing" or room == "engine", f"{file}:{line}: imports {name}"


def test_no_file_is_long():
    lengths = {file.relative_to(SOURCE).as_posix(): len(file.read_bytes().splitlines()) for file in FILES}
    assert set(lengths) >= ONE_IDEA
    assert {name: n for name, n in lengths.items() if n > LONGEST and name not in ONE_IDEA} == {}


def file_of(name):
    """The file of a module of ours, or of the package whose `__init__` a dotted name means; None for others."""
    package, *inside = name.split(".")
    while package == "cameraborn" and inside:
        path = SOURCE.joinpath(*inside)
        if path.with_suffix(".py") in FILES:
            return path.with_suffix(".py")
        if path / "__init__.py" in FILES:
            return path / "__init__.py"
        inside.pop()
    return None


def imported_files(file):
    """The files of ours that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [
                f"{node.module}.{alias.name}" for alias in node.names
            ]  # a file of a package, or a name in one
        else:
            continue
        yield from {found for name in names if (found := file_of(name)) and found != file}


def test_no_files_import_each_other_in_a_circle():
    imported = {file: set(imported_files(file)) for file in FILES}
    assert any(SOURCE / "files.py" in found for found in imported.values())
    free: set[Path] = set()
    while ready := [file for file in imported if file not in free and imported[file] <= free]:
        free.update(ready)
    assert sorted(file.relative_to(SOURCE).as_posix() for file in imported if file not in free) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_nothing_is_unpickled_or_evaluated(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in FORBIDDEN_CALLS, f"{file}:{node.lineno}: calls {called}"
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            if called == "torch.load":
                safe = options.get("weights_only")
                assert isinstance(safe, ast.Constant), f"{file}:{node.lineno}: torch.load may unpickle"
                assert safe.value is True, f"{file}:{node.lineno}: torch.load may unpickle"
            assert "allow_pickle" not in options, f"{file}:{node.lineno}: {called} may unpickle"
            assert "shell" not in options, f"{file}:{node.lineno}: {called} may start a shell"


TRAINING_ALONE = {"degrade/edits.py", "degrade/history.py"}  # need OpenCV, which comes with training


def test_what_does_not_train_imports_without_torch_and_opencv():
    rooms = {*ROOMS[: ROOMS.index("networks")], "report"}
    modules = [
        "cameraborn." + ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for file in FILES
        if room_of(file) in rooms and file.relative_to(SOURCE).as_posix() not in TRAINING_ALONE
    ]
    assert len(modules) > 100
    code = (
        "import sys, importlib\n"
        f"sys.modules.update(dict.fromkeys({sorted(TRAINING | {'cv2'})}))\n"  # importing them fails
        "for name in sys.argv[1:]: importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


STARTS = {
    "import": "import cameraborn",
    "help": "import sys; sys.argv = ['cameraborn', 'score', '--help']\n"
    "from cameraborn.cli import main\n"
    "try: main()\nexcept SystemExit: pass",
}


@pytest.mark.parametrize("start", STARTS)
def test_scoring_starts_without_the_heavy_packages(start):
    heavy = {"torch", "sklearn", "scipy", "tensorboard", "onnx", "matplotlib", "rich.progress", "fastapi"}
    heavy |= {"uvicorn", "cameraborn.photo.provenance", "cameraborn.data.manifest", "cameraborn.cli.model"}
    code = f"{STARTS[start]}\nimport sys; print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
