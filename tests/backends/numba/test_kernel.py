"""When a kernel is compiled, from where it is loaded, and what happens when neither works."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import numpy
import pytest

from rustorch.backends.numba import availability, kernel, store

from . import programs

_USE = """
out = add_one(x)
print(out is not None and bool((out == x + 1).all()), kernel.STATE.compiled, kernel.STATE.loaded, kernel.STATE.failures)
"""


def _add(x, y, out, factor, start, stop):  # type: ignore[no-untyped-def]
    a, b, c = x[start:stop], y[start:stop], out[start:stop]
    for i in range(c.size):
        c[i] = a[i] + factor * b[i]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 8193, 100_000])
def test_a_kernel_works_on_every_item(dtype: str, size: int) -> None:
    x, y = numpy.random.default_rng(0).standard_normal((2, size)).astype(dtype)
    out = numpy.full_like(x, 9)
    launch = kernel.Kernel(_add, "T[] T[] T[] T", exact=True).of(x.dtype, size)
    assert launch is not None
    launch(size, size, x, y, out, 0.1)
    numpy.testing.assert_array_equal(out, x + x.dtype.type(0.1) * y)


def test_other_dtypes_are_left_to_numpy() -> None:
    for dtype in ("float16", "int64", "complex64", "bool", ">f4"):
        assert kernel.Kernel(_add, "T[] T[] T[] T").of(numpy.dtype(dtype), 1 << 20) is None


def test_a_second_process_loads_what_the_first_one_compiled(tmp_path: Path) -> None:
    assert programs.run(_USE, tmp_path) == "True 4 0 {}"  # the kernel, and the three of the team
    imported = "import sys\nprint('numba' in sys.modules)"
    assert programs.run(_USE + imported, tmp_path) == "True 0 4 {}\nFalse"
    if os.name == "posix":
        assert (tmp_path.stat().st_mode & 0o077) == 0 or tmp_path.stat().st_uid == os.getuid()


def test_a_new_folder_is_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    programs.run(_USE, folder)
    assert len(list(folder.glob("*.o"))) == 4
    assert not list(folder.glob("*.part"))
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "foreign"])
def test_a_damaged_file_is_compiled_again(tmp_path: Path, damage: str) -> None:
    programs.run(_USE, tmp_path)
    files = sorted(tmp_path.glob("*.o"))
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents, strict=True):
        changed = content[:200] + bytes([content[200] ^ 1]) + content[201:]
        file.write_bytes({"empty": b"", "cut": content[:-9], "changed": changed, "foreign": contents[0]}[damage])
    fine = sum(file.read_bytes() == content for file, content in zip(files, contents, strict=True))
    assert programs.run(_USE, tmp_path) == f"True {4 - fine} {fine} {{}}"
    assert [file.read_bytes()[:18] for file in files] == [store._MAGIC] * 4


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="permissions do not bind this user")
def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert programs.run(_USE, tmp_path) == "True 4 0 {}"
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert programs.run(_USE + "print(kernel.STATE.folder_problem)", tmp_path / "file" / "folder") == (
        f"True 4 0 {{}}\n{tmp_path / 'file' / 'folder'}: Not a directory"
    )


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX")
def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    programs.run(_USE, tmp_path)
    tmp_path.chmod(0o777)
    assert programs.run(_USE + "print(kernel.STATE.folder_problem)", tmp_path) == (
        f"True 4 0 {{}}\n{tmp_path} can be written by other users; run chmod 700 on it"
    )


def test_without_a_home_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSTORCH_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert store.folder() is None
    assert store.problem(None) == "there is no home folder; set RUSTORCH_CACHE to a folder"
    assert store.read(None, "key") is None
    store.write(None, "key", b"data")


def test_small_work_never_waits(tmp_path: Path) -> None:
    program = """
    x = x[:5000]
    first = add_one(x)
    kernel.wait()
    second = add_one(x)
    print(first is None, bool((second == x + 1).all()), add_one(x[:100]) is None)
    """
    assert programs.run(program, tmp_path) == "True True True"


def test_a_process_may_end_while_a_kernel_is_compiled(tmp_path: Path) -> None:
    assert programs.run("print(add_one(x[:5000]) is None)", tmp_path) == "True"


#: A call in the background waits for a quiet moment, which does not come soon.
_WAITING = """
import time
add_one(x[:8])  # finds out what there is
kernel.STATE.quiet = time.monotonic() + {seconds}
small = numpy.arange(5000, dtype="float32")
assert add_one(small) is None
"""


def test_a_process_may_end_while_the_background_waits(tmp_path: Path) -> None:
    assert programs.run(_WAITING.format(seconds=300) + "print(kernel.STATE.compiled)", tmp_path, timeout=60) == "0"


def test_the_background_waits_for_a_quiet_moment(tmp_path: Path) -> None:
    program = """
    time.sleep(0.2)
    print(kernel.STATE.compiled)
    kernel.wait()
    print(kernel.STATE.compiled, add_one(small) is not None, time.monotonic() >= kernel.STATE.quiet)
    """
    assert programs.run(_WAITING.format(seconds=1) + textwrap.dedent(program), tmp_path) == "0\n1 True True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_process_forked_while_the_background_waits_compiles_by_itself(tmp_path: Path) -> None:
    program = """
    import os, warnings
    warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads
    child = os.fork()
    if not child:
        assert add_one(small) is None
        kernel.wait()
        os._exit(0 if add_one(small) is not None else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert programs.run(_WAITING.format(seconds=30) + textwrap.dedent(program), tmp_path) == "0"


def test_patient_kernels_wait_only_for_large_work(tmp_path: Path) -> None:
    program = """
    KERNEL._patience = 16
    print(add_one(x) is None)  # 2^17 elements
    large = numpy.arange(1 << 20, dtype="float32")
    print(add_one(large) is not None)
    """
    assert programs.run(program, tmp_path) == "True\nTrue"


def test_the_key_depends_on_all_that_the_code_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(x, start, stop):  # type: ignore[no-untyped-def]
        x[start] = 1

    def second(x, start, stop):  # type: ignore[no-untyped-def]
        x[start] = 2

    bodies = [(first, "T[]"), (second, "T[]"), (first, "f8[]")]
    kernels = [kernel.Kernel(body, tokens) for body, tokens in bodies] + [kernel.Kernel(first, "T[]", sums=True)]
    kernel.STATE.find_out()
    keys = {k.key(dtype) for k in kernels for dtype in ("f4", "f8")}
    monkeypatch.setattr(kernel.STATE, "key", "another processor")
    assert len(keys | {kernels[0].key("f4")}) == 9


# -- trouble -----------------------------------------------------------------------------------------------------------
def test_a_body_that_cannot_be_compiled_is_named_once() -> None:
    def impossible(x, start, stop):  # type: ignore[no-untyped-def]
        x[start] = unknown_function(x[stop])  # type: ignore[name-defined] # noqa: F821

    broken = kernel.Kernel(impossible, "T[]")
    assert broken.of(numpy.dtype("float32"), 1 << 20) is None
    assert broken.of(numpy.dtype("float32"), 1 << 20) is None
    message = kernel.STATE.failures.pop("impossible (float32)")
    assert "\n" not in message


def test_code_that_calls_into_the_interpreter_is_refused() -> None:
    def printing(x, start, stop):  # type: ignore[no-untyped-def]
        print(start)

    assert kernel.Kernel(printing, "T[]").of(numpy.dtype("float32"), 1 << 20) is None
    assert "which not every process has" in kernel.STATE.failures.pop("printing (float32)")
    from rustorch.backends.numba import compiler

    with pytest.raises(RuntimeError, match="would call 'rustorch_none'"):
        compiler._check_symbol("rustorch_none")


def _reasons(monkeypatch: pytest.MonkeyPatch) -> str:
    with pytest.raises(availability.Unavailable) as raised:
        availability.check()
    return str(raised.value)


def test_why_nothing_is_compiled_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "find_spec", lambda name: None)
    monkeypatch.delenv("RUSTORCH_FAST", raising=False)
    assert _reasons(monkeypatch) == "Numba is not installed (pip install 'rustorch[fast]')"
    monkeypatch.setattr(availability, "find_spec", lambda name: object())
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.59.1")
    assert _reasons(monkeypatch) == "Numba 0.59.1 is too old; 0.62 or newer is needed"
    monkeypatch.setenv("RUSTORCH_FAST", "0")
    assert _reasons(monkeypatch) == "RUSTORCH_FAST is '0'"


def test_results_without_compiled_kernels_are_the_same(tmp_path: Path) -> None:
    program = """
    import rustorch
    x = rustorch.Variable(numpy.linspace(-3, 3, 1 << 17), requires_grad=True)
    out = rustorch.nn.functional.gelu(x) * rustorch.tanh(x)
    out.sum().backward()
    print(f"{float(out.sum().data):.10f} {float((x.grad * x.data).sum()):.10f}")
    """
    with_, without = (programs.run(program, tmp_path, RUSTORCH_FAST=fast) for fast in ("1", "0"))
    assert with_ == without


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"RUSTORCH_FAST": "0"}, "compiled kernels on cpu: not used: RUSTORCH_FAST is '0'"),
        ({}, "compiled kernels on cpu: used, kept in {cache}"),
    ],
)
def test_the_report_says_what_is_used(tmp_path: Path, setting: dict[str, str], line: str) -> None:
    program = "from rustorch.__main__ import main\nmain()"
    lines = programs.run(program, tmp_path, **setting).splitlines()
    assert lines[-2:] == ["threads on cpu: 2", line.format(cache=tmp_path)]


def test_a_numba_that_fails_to_import_is_reported(tmp_path: Path) -> None:
    package = tmp_path / "broken" / "numba"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('Numba needs NumPy 2.0 or less')")
    paths = os.pathsep.join([str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    out = programs.run(
        """
        print(add_one(x) is None, kernel.STATE.failures)
        import rustorch
        y = rustorch.nn.functional.gelu(rustorch.Variable(x))
        print(y.shape)
        """,
        tmp_path / "cache",
        PYTHONPATH=paths,
    )
    assert out.splitlines()[0].endswith("{'add_one (float32)': 'ImportError: Numba needs NumPy 2.0 or less'}")
    assert out.splitlines()[0].startswith("True")
    assert out.splitlines()[1] == "(131072,)"


@pytest.mark.parametrize("state", ["raise", "call"])
def test_numpy_serves_where_it_should_raise(state: str) -> None:
    add = kernel.Kernel(_add, "T[] T[] T[] T")
    with numpy.errstate(over=state):
        assert add.of(numpy.dtype("float32"), 1 << 20) is None
    with numpy.errstate(over="ignore", invalid="warn"):
        assert add.of(numpy.dtype("float32"), 1 << 20) is not None


def test_constants_that_differ_as_text_alone_have_keys_of_their_own() -> None:
    loops = [f'def loop(x, start, stop):\n    x[start] = T(float("{value}"))\n' for value in ("inf", "-inf", "nan")]
    bodies = []
    for text in loops:
        names: dict[str, object] = {}
        exec(text, names)
        bodies.append(names["loop"])
    assert len({kernel.Kernel(body, "T[]").key("f4") for body in bodies}) == 3  # type: ignore[arg-type]


def test_small_work_does_not_wait_for_another_thread_that_compiles(tmp_path: Path) -> None:
    program = """
    import threading, time
    kernel.STATE.find_out()
    held = threading.Event()
    def compile_for_long():
        with kernel.STATE.lock:
            held.set()
            time.sleep(3)
    thread = threading.Thread(target=compile_for_long)
    thread.start()
    held.wait()
    start = time.monotonic()
    out = add_one(x[:5000])
    print(out is None, time.monotonic() - start < 2)
    """
    assert programs.run(program, tmp_path) == "True True"


@pytest.mark.skipif(os.name != "posix", reason="links and modes as on POSIX")
def test_files_that_others_could_have_written_are_not_loaded(tmp_path: Path) -> None:
    store.write(tmp_path, "key", b"data")
    assert store.read(tmp_path, "key") == b"data"
    file = tmp_path / "key.o"
    file.chmod(0o666)
    assert store.read(tmp_path, "key") is None
    file.chmod(0o600)
    file.rename(tmp_path / "other")
    file.symlink_to(tmp_path / "other")
    assert store.read(tmp_path, "key") is None


def test_a_number_too_large_for_a_float_is_an_overflow_for_every_size() -> None:
    import rustorch

    for size in (10, 100_000):
        with pytest.raises(OverflowError):
            rustorch.Variable(numpy.ones(size)) * 10**400
