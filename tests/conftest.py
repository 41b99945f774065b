"""Options and fixtures of all tests.

The ``backend`` fixture runs a test on every array library. A backend that is not installed is a skip with its reason.

``--backend NAME`` runs the tests of one backend only. ``--require-backend NAME`` makes a run fail unless tests really
ran on that backend: skips alone would let a run pass that tested nothing. ``--stand-in`` runs the tests of "cuda"
without a GPU, on a stand-in for CuPy (see support/cuda/README.md). ``--installed`` makes a run fail that would test the
sources beside the tests instead of the installed package. ``--resume FILE`` leaves out tests that have passed before.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy
import pytest

import rustorch
from rustorch import backends
from tests.support import skips
from tests.support.launches import is_stand_in
from tests.support.target import BACKENDS, Target

pytest_plugins = ("tests.support.ranks",)

ROOT = Path(__file__).parents[1]
#: The folder with the stand-in for CuPy.
STAND_IN = Path(__file__).parent / "support" / "cuda"

#: The backends that tests ran on, and the tests that passed.
_ran: set[str] = set()
_passed: set[str] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rustorch")
    group.addoption(
        "--backend",
        action="append",
        choices=BACKENDS,
        metavar="NAME",
        help=f"run tests on this backend only ({', '.join(BACKENDS)}); may be given more than once",
    )
    group.addoption(
        "--require-backend",
        action="append",
        choices=BACKENDS,
        metavar="NAME",
        help="fail unless tests really ran on this backend; may be given more than once",
    )
    group.addoption(
        "--stand-in",
        action="store_true",
        help="run the tests of cuda on a stand-in for CuPy, without a GPU; needs a C++ compiler",
    )
    group.addoption(
        "--installed",
        action="store_true",
        help="fail if the rustorch that is imported is the one beside the tests, not an installed one",
    )
    group.addoption(
        "--resume",
        type=Path,
        metavar="FILE",
        help="leave out the tests that FILE lists, and add to it those that pass",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set what libraries read when they are imported."""
    source = Path(rustorch.__file__).parents[1]
    if config.getoption("installed") and source.resolve() == ROOT.resolve():
        raise pytest.UsageError(f"--installed: rustorch is imported from {source}, beside the tests")
    # SciPy takes arrays of other libraries only if this is set before it is imported.
    os.environ.setdefault("SCIPY_ARRAY_API", "1")
    cache = getattr(config, "cache", None)
    if config.getoption("stand_in"):
        if cache is not None:
            os.environ.setdefault("CUPY_STAND_IN_CACHE", str(cache.mkdir("cupy_stand_in")))
        _use_stand_in()
    # JAX spends most of its time on compiling. A second run finds the results of the first one.
    if cache is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache.mkdir("jax")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_report_header() -> str:
    return f"rustorch {rustorch.__version__} from {Path(rustorch.__file__).parent}"


def _use_stand_in() -> None:
    """Let ``import cupy`` find the stand-in, here and in the processes that tests start."""
    imported = sys.modules.get("cupy")
    if imported is not None and not hasattr(imported, "LOG"):
        raise pytest.UsageError(f"--stand-in: the real CuPy is imported already, from {imported.__file__}")
    if str(STAND_IN) not in sys.path:
        sys.path.insert(0, str(STAND_IN))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STAND_IN), os.environ.get("PYTHONPATH")]))
    from cupy import _compiler

    if _compiler.COMPILER is None:
        raise pytest.UsageError(
            "--stand-in: there is no C++ compiler (c++, g++, clang++ or CXX) to run CUDA sources with"
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("backend") or BACKENDS
        metafunc.parametrize("backend", [name for name in BACKENDS if name in chosen], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    file: Path | None = config.getoption("resume")
    if file is None or not file.exists():
        return
    passed = set(file.read_text(encoding="utf-8").splitlines())
    if left_out := [item for item in items if item.nodeid in passed]:
        items[:] = [item for item in items if item.nodeid not in passed]
        config.hook.pytest_deselected(items=left_out)


def _target(request: pytest.FixtureRequest) -> Target:
    try:
        device = backends.resolve(request.param)
    except RuntimeError as reason:
        pytest.skip(f"{request.param}: {reason}")
    # the report carries it, also from the workers of a parallel run
    request.node.user_properties.append(("backend", request.param))
    return Target(device)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Target:
    """The backend that a test runs on: its device string, and arrays and Variables there."""
    return _target(request)


@pytest.fixture(params=["cuda"])
def cuda(request: pytest.FixtureRequest) -> Target:
    """CuPy's backend, for tests of CUDA alone."""
    return _target(request)


@pytest.fixture
def stand_in() -> ModuleType:
    """The stand-in for CuPy, for tests of what it logs and refuses. They are skipped without ``--stand-in``."""
    if not is_stand_in():
        pytest.skip("for the stand-in for CuPy alone: --stand-in")
    return sys.modules["cupy"]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and not report.skipped:
        _ran.update(str(value) for name, value in report.user_properties if name == "backend")
        if report.passed:
            _passed.add(report.nodeid)


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is one of the processes of a parallel run, which runs a part of the tests only."""
    return hasattr(config, "workerinput")


def _missing(config: pytest.Config) -> list[str]:
    if _is_worker(config) or config.getoption("collectonly"):
        return []
    return sorted(set(config.getoption("require_backend") or ()) - _ran)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _missing(session.config) and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    file: Path | None = session.config.getoption("resume")
    if file is not None and _passed and not _is_worker(session.config):
        with file.open("a", encoding="utf-8") as list_of_passed:
            list_of_passed.writelines(f"{name}\n" for name in sorted(_passed))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    for line in skips.summary(str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)):
        terminalreporter.write_line(line)
    for name in _missing(config):
        try:
            backends.resolve(name)
            reason = "it is usable, but no test ran on it"
        except RuntimeError as error:
            reason = str(error)
        terminalreporter.write_line(f"ERROR: --require-backend {name}: {reason}", red=True)


def _seed(request: pytest.FixtureRequest) -> int:
    """A seed from the test's name without the backend's: every backend sees the same numbers."""
    return zlib.crc32(f"{request.node.path.name}::{request.node.originalname}".encode())


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> numpy.random.Generator:
    """NumPy's random numbers, the same ones in every run."""
    return numpy.random.default_rng(_seed(request))


@pytest.fixture(autouse=True)
def _same_start_same_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start every test from its seed, and check that it leaves no mode and no default changed."""
    seed = _seed(request) if hasattr(request.node, "originalname") else 0
    numpy.random.seed(seed)  # noqa: NPY002 - for code under test that draws from the global generator
    rustorch.manual_seed(seed)
    if (log := getattr(sys.modules.get("cupy"), "LOG", None)) is not None:
        log.clear()  # else it grows with every test
    yield
    assert rustorch.is_grad_enabled(), "a test left recording off"
    assert rustorch.get_default_device() == "cpu", "a test left another default device"
