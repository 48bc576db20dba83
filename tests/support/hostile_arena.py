"""The arena of the hostile suite: a user's folder, a stranger's gift in it, and what is forbidden.

Every command that is asked here runs in this process and is then searched for what a stranger
could have gained: code that ran, files that changed outside, secrets or control characters on the
terminal, a traceback, a hang, half-made folders.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import os
import re
import resource
import shutil
import signal
import stat
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest
from PIL import Image

SECRET = "swordfish-of-the-environment"
SECRET_IN_FILE = "swordfish-of-a-file"
LONG = "longcat" * 1500  # a word that no screen has room for
SCREEN_LINES = 24
LINE_LENGTH = 300  # a line of a screen with a long path in it
MOST_SECONDS = 45.0  # for a pipe that nobody writes to; a busy machine is slow, too
MOST_CPU_SECONDS = 15.0
MOST_MEMORY = 6 * 2**30  # bytes that one command may take beside what was taken before
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
HALF_MADE = re.compile(r"/\.new_|/\.[^/]*\.\w{8}$")
KEPT = ("/.lock", "/log.txt", "gift/plan.jsonl")
PASSED, FAILED, REFUSED = 0, 1, 2
ANSWERED = (PASSED, FAILED, REFUSED)


class Hung(BaseException):
    """A command that took too long; nothing of the tool may catch it as a fault of a file."""


@dataclass(frozen=True)
class Answer:
    """A finished command."""

    words: Sequence[str]
    code: object
    out: str
    err: str

    def __str__(self) -> str:
        words = " ".join(word if len(word) < 60 else f"{word[:60]}..." for word in self.words)
        return f"expkit {words!r} -> {self.code}\n{self.out[-1500:]}{self.err[-3000:]}"


@dataclass
class Arena:
    """A working directory with a user's own data and runs, and a folder beside it."""

    root: Path
    exhibits: Path  # real runs, made once, to be copied and spoilt
    read_output: Callable[[], tuple[str, str]]
    problems: list[str] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def gift(self) -> Path:
        """Where the stranger's folder lies."""
        return self.work / "gift"

    @property
    def beside(self) -> Path:
        """The user's own files, which no command was told of."""
        return self.root / "beside"

    @property
    def ran(self) -> Path:
        """Made by the stranger's code, should any of it run."""
        return self.root / "ran"

    @property
    def module(self) -> str:
        """A module's name that no other test has; what was imported or found stays in memory."""
        return "stranger_" + re.sub(r"\W", "_", str(self.root))[-60:]

    def prepare(self) -> None:
        for folder in (self.work, self.beside, self.root / "home"):
            folder.mkdir(exist_ok=True)  # matplotlib, if first loaded here, makes its cache at home
        (self.beside / "precious.txt").write_text(f"{SECRET_IN_FILE}\n")
        (self.beside / "precious.json").write_text(f'{{"key": "{SECRET_IN_FILE}"}}\n')
        (self.beside / "picture.png").write_bytes(b"not for strangers")
        shutil.copytree(self.exhibits / "images", self.work / "images")

    def give(self, kind: str = "finished") -> Path:
        """Lay an honest run there as the gift, in place of an earlier one."""
        remove(self.gift)
        shutil.copytree(self.exhibits / "outputs" / kind, self.gift, symlinks=True)
        return self.gift

    def have(self, kind: str = "other", name: str = "honest") -> Path:
        """A run of the user's own."""
        path = self.work / "outputs" / name
        if not path.exists():
            shutil.copytree(self.exhibits / "outputs" / kind, path)
        return path

    def stranger(self, name: str | None = None) -> str:
        """Source of a module that leaves a trace when it is imported or one of its parts made."""
        return (
            f"open({str(self.ran)!r}, 'a').write('imported\\n')\n"
            "def make(*args, **kwargs):\n"
            f"    open({str(self.ran)!r}, 'a').write('called\\n')\n"
        )

    def ask(
        self,
        *words: str,
        codes: Sequence[int] = ANSWERED,
        cwd: Path | None = None,
        keeps: bool = False,
        is_screen: bool = True,
    ) -> Answer:
        """Run `expkit WORDS`, and note every way in which it did what it must not."""
        before = (snapshot(self.root), list(sys.path), set(sys.modules), dict(os.environ))
        answer = self._dispatch(words, cwd or self.work)
        noted = list(self._judge(answer, codes, before[0], keeps=keeps, is_screen=is_screen))
        noted += self._intruders(before[1], before[2])
        self.problems += [f"{problem}\n    {answer}" for problem in noted]
        sys.path[:] = before[1]
        os.environ.clear()
        os.environ.update(before[3])
        return answer

    def close(self) -> None:
        """Say all that was noted."""
        assert not self.problems, "\n\n".join(self.problems)

    def _dispatch(self, words: Sequence[str], cwd: Path) -> Answer:
        from expkit.cli import dispatch

        self.read_output()
        here = Path.cwd()
        os.chdir(cwd)
        code: object
        try:
            with limited():
                sys.argv = ["expkit", *words]
                code = dispatch(words)
        except SystemExit as error:
            code = error.code or 0
        except BaseException as error:  # all of them are what this suite is there for
            frames = traceback.extract_tb(error.__traceback__)
            places = [f"{Path(each.filename).name}:{each.lineno}" for each in frames[-6:]]
            code = f"{type(error).__name__} at {' > '.join(places)}: {str(error)[:200]!r}"
        finally:
            os.chdir(here)
        return Answer(words, code, *self.read_output())

    def _judge(
        self,
        answer: Answer,
        codes: Sequence[int],
        before: dict[str, str],
        *,
        keeps: bool,
        is_screen: bool,
    ) -> Iterator[str]:
        if answer.code not in codes:
            yield f"exit code {answer.code!r}, not one of {list(codes)}"
        both = answer.out + answer.err
        if "Traceback (most recent call last)" in both:
            yield "a traceback on the terminal"
        if self.ran.exists():
            yield f"code of the stranger ran: {self.ran.read_text().split()}"
            self.ran.unlink()
        for secret in (SECRET, SECRET_IN_FILE):
            if secret in both:
                yield f"{secret} on the terminal"
        if found := CONTROL.search(both):
            name = unicodedata.name(found[0], f"U+{ord(found[0]):04X}")
            start = max(0, found.start() - 30)
            yield f"control character {name} in {both[start : found.end() + 30]!r}"
        if answer.code == REFUSED:
            lines = answer.err.splitlines()
            if is_screen and len(lines) > SCREEN_LINES:
                yield f"{len(lines)} lines of error"
            if any(len(line) > LINE_LENGTH for line in lines):
                yield f"a line of {max(map(len, lines))} characters"
            if not lines and '"schema": "expkit/error"' not in answer.out:
                yield "refused without a word"
        yield from self._changes(before, snapshot(self.root), answer, keeps=keeps)

    def _changes(
        self, before: dict[str, str], after: dict[str, str], answer: Answer, *, keeps: bool
    ) -> Iterator[str]:
        for path in sorted(before.keys() | after.keys()):
            # caches, and what a run that was opened to go on with may keep of that
            is_kept = path.startswith(("home/", "work/cache")) or path.endswith(KEPT)
            if before.get(path) == after.get(path) or is_kept:
                continue
            was, now = before.get(path, "absent"), after.get(path, "absent")
            if path.startswith("beside"):
                yield f"outside the folder, {path} was {was:.40} and is {now:.40}"
            elif answer.code == REFUSED and not (keeps and path.startswith("work/gift/")):
                yield f"refused, yet {path} was {was:.40} and is {now:.40}"
            elif now == "folder" and not any(each.startswith(f"{path}/") for each in after):
                yield f"an empty folder is left: {path}"
            elif now != "absent" and HALF_MADE.search(path):
                yield f"left half-made: {path}"
            elif now.startswith("file") and holds_secret(self.root / path):
                yield f"a secret was written into {path}"

    def _intruders(self, paths: list[str], modules: set[str]) -> Iterator[str]:
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(self.root)):
                yield f"the module {name} was imported from {file}"
                del sys.modules[name]
        for path in set(sys.path) - set(paths):
            if Path(path).is_relative_to(self.gift):
                yield f"the import path has {path}"


def snapshot(root: Path) -> dict[str, str]:
    """What lies there by path: the kind of each, a file's digest and a link's target."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder) / name
            found[path.relative_to(root).as_posix()] = describe(path)
    return found


def describe(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return f"special {stat.filemode(mode)[0]}"
    if path.stat().st_size > 50_000_000:
        return f"file of {path.stat().st_size} bytes"
    return f"file {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def holds_secret(path: Path) -> bool:
    content = path.read_bytes()
    return any(secret.encode() in content for secret in (SECRET, SECRET_IN_FILE))


def remove(path: Path) -> None:
    """Whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise `Hung` where a command takes too long, and MemoryError where it takes too much."""

    def ring(_: int, __: FrameType | None) -> None:
        raise Hung

    earlier = {each: signal.signal(each, ring) for each in (signal.SIGALRM, signal.SIGPROF)}
    most = resource.getrlimit(resource.RLIMIT_AS)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_MEMORY, most[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for each, handler in earlier.items():
            signal.signal(each, handler)
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, most)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextlib.contextmanager
def without_override() -> Iterator[None]:
    """Let file permissions count also for root, who else reads and writes past them."""
    if os.geteuid() != 0 or sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(0x20080522, 0), (_Data * 2)()
    assert libc.capget(ctypes.byref(header), data) == 0
    kept = data[0].effective
    data[0].effective &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(ctypes.byref(header), data) == 0
    try:
        yield
    finally:
        data[0].effective = kept
        assert libc.capset(ctypes.byref(header), data) == 0


def draw_quickly(patch: pytest.MonkeyPatch) -> None:
    """Write a pixel for each figure: drawing takes longer than all else that is asked here."""
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "PNG")
    for encode in ("_encode_pixels", "_encode_lines"):
        patch.setattr(f"expkit.reports.plots.style.{encode}", lambda *_: stream.getvalue())


@pytest.fixture
def arena(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    exhibits: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Arena]:
    """A fresh arena; whatever was noted in it fails the test at its end."""
    monkeypatch.setenv("EXPKIT_CANARY", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")  # argparse wraps by it
    monkeypatch.setattr(sys, "argv", ["expkit"])
    if "draws" not in request.keywords:
        draw_quickly(monkeypatch)
    made = Arena(tmp_path, exhibits, lambda: tuple(capfd.readouterr()))
    made.prepare()
    monkeypatch.chdir(made.work)
    yield made
    for folder, _, _ in os.walk(tmp_path):
        Path(folder).chmod(0o700)  # so that pytest can clear it away
    made.close()
