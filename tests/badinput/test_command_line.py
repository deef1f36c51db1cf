"""Words that no command takes, names that are none, and files that cannot be published or put.

Each ends with one line that names the input, and with its exit code; nothing is left behind.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strew.cli.main import COMMANDS
from tests.badinput.daemons import PATIENCE_S, Daemons, ends_with, make_file
from tests.cli.processes import Done, call, run, until
from tests.machines import remove

ID = "blake3:" + "0" * 64

LARGE_BYTES = 48 << 20
"""Takes longer to read than the grain of a file's times."""


@pytest.fixture
def place(daemons: Daemons, tmp_path: Path) -> Iterator[Path]:
    """An empty folder to run a command in; its modes are mended after the test."""
    yield tmp_path
    for entry in tmp_path.iterdir():
        remove(entry)


def told(daemons: Daemons, place: Path, *words: str) -> Done:
    return call(*words, env=daemons.fleet.env, cwd=place)


def refused(done: Done, code: int, *parts: str) -> None:
    """One line on stderr with these parts in it, nothing on stdout, and the exit code."""
    assert (done.code, done.out) == (code, ""), (done.code, done.out, done.err)
    assert done.err.startswith("strew: ") and done.err.endswith("\n"), done.err
    line = done.err[:-1]
    assert "\n" not in line and line.isprintable() and len(line) < 600, done.err
    for part in parts:
        assert part in line, line


# --- words ---------------------------------------------------------------------------------------

WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "an unknown command": (("psuh", "x"), "did you mean 'strew push'"),
    "a command of emoji": (("🚀",), "unknown command"),
    "a command with a line end": (("push\n",), "unknown command"),
    "an empty command": (("",), "unknown command"),
    "an unknown flag before it": (("--verbose", "push"), "unknown flag"),
    "an unknown flag": (("push", "x", "--fast"), "--fast"),
    "a flag that is nearly one": (("get", "app:1", "--ouput", "x"), "--output"),
    "no argument to push": (("push",), "push"),
    "no argument to get": (("get",), "get"),
    "no argument to show": (("show",), "show"),
    "an argument too many": (("show", "app:1", "app:2"), "one argument too many"),
    "a flag without its value": (("get", "app:1", "-o"), "-o requires"),
    "a rate of potatoes": (("get", "app:1", "--rate", "10 potatoes"), "potatoes"),
    "a rate without a number": (("get", "app:1", "--rate", "M"), "--rate"),
    "a negative rate": (("get", "app:1", "--rate", "-5M"), "--rate"),
    "a rate of 0": (("get", "app:1", "--rate", "0"), "--rate"),
    "an infinite rate": (("get", "app:1", "--rate", "inf"), "inf"),
    "a rate that is not a number": (("get", "app:1", "--rate", "nan"), "nan"),
    "a rate of 400 digits": (("get", "app:1", "--rate", "9" * 400), "--rate"),
    "digits of another script": (("get", "app:1", "--rate", "١٠M"), "--rate"),
    "a deadline of words": (("get", "app:1", "--deadline", "soon"), "soon"),
    "an empty reference": (("get", ""), "''"),
    "a reference without tag": (("get", "app"), "no tag"),
    "an id of 63 digits": (("get", ID[:-1]), "64 hex digits, this has 63"),
    "an id of 65 digits": (("get", ID + "0"), "this has 65"),
    "an id of other signs": (("get", ID[:-1] + "g"), "g"),
    "a name with two dots": (("get", "../app:1"), "'..'"),
    "a name with a blank": (("get", "my app:1"), "' '"),
    "a name with a line end": (("get", "app\n:1"), "app\\n"),
    "a name of emoji": (("get", "🚀:1"), "in the name"),
    "a tag of emoji": (("get", "app:🚀"), "in the tag"),
    "a name with an escape": (("get", "\x1b[31mapp:1"), "\\x1b"),
    "a name of hidden direction": (("get", "app\u202e:1"), "\\u202e"),
    "a name of 10,000 signs": (("get", "a" * 10_000 + ":1"), "longer than"),
    "an absolute name": (("get", "/etc/passwd:1"), "empty part"),
    "a name that starts with a dash": (("get", "--", "-app:1"), "does not start with '-'"),
    "a link without a name": (("get", "strew://127.0.0.1:7300"), "names no artifact"),
    "a link to port 99999": (("get", "strew://127.0.0.1:99999/app:1"), "a port is between"),
    "another scheme": (("get", "http://127.0.0.1/app:1"), "not a strew link"),
    "an address without port": (("get", "app:1", "--at", "127.0.0.1"), "no port"),
    "port 99999": (("get", "app:1", "--at", "127.0.0.1:99999"), "a port is between"),
    "port 0": (("get", "app:1", "--at", "127.0.0.1:0"), "a port is between"),
    "a key of 63 digits": (("ls", "--fleet-key", "0" * 63), "64 hex digits, this has 63"),
    "a bad pattern": (("node", "--follow", "app *"), "pattern"),
    "a name to publish with two tags": (("push", "x", "app:1:2"), "in the tag"),
    "a name that is kept": (("push", "x", "blake3:1"), "kept for artifact ids"),
    "a NUL in a folder": (("node", "--into", "a\0b"), "NUL"),
    "standard output and JSON": (("get", "app:1", "-o", "-", "--quiet", "--stay"), "--stay"),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_mistake_in_the_words_is_one_line(daemons: Daemons, place: Path, name: str) -> None:
    words, part = WORDS[name]
    refused(told(daemons, place, *words), 2, part)
    assert not os.listdir(place)
    if words[-1] == "-o":
        return  # the flag would take the next one for its value
    as_json = told(daemons, place, "--json", *words)
    assert (as_json.code, as_json.err) == (2, "")
    assert as_json.final["code"] == "usage" and "\n" not in as_json.final["message"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "completion"])
def test_every_command_refuses_a_flag_that_it_does_not_know(
    daemons: Daemons, place: Path, command: str
) -> None:
    refused(told(daemons, place, command, "--no-such-flag"), 2)


# --- what is published ---------------------------------------------------------------------------


def fifo(at: Path) -> Path:
    os.mkfifo(at / "pipe")
    return at / "pipe"


def unix_socket(at: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(at / "sock"))
    return at / "sock"


def folder_with(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def made(at: Path) -> Path:
        folder = at / "tree"
        folder.mkdir()
        (folder / "good").write_bytes(b"good")
        make(folder)
        return folder

    return made


def named(name: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> None:
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb"):
            pass

    return folder_with(make)


UNPUBLISHABLE: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "nothing": (lambda at: at / "nothing", 3, "nothing"),
    "something below a file": (lambda at: make_file(at / "f", seed=3) / "x", 3, "no such file"),
    "a FIFO": (fifo, 2, "a FIFO"),
    "a socket": (unix_socket, 2, "socket"),
    "a device": (lambda at: Path("/dev/null"), 2, "device"),
    "a folder with a FIFO": (folder_with(fifo), 2, "pipe"),
    "a folder with a socket": (folder_with(unix_socket), 2, "sock"),
    "a link out of the folder": (
        folder_with(lambda at: (at / "out").symlink_to("../../etc/passwd")),
        2,
        "out of its folder",
    ),
    "a link to an absolute path": (
        folder_with(lambda at: (at / "out").symlink_to("/etc/passwd")),
        2,
        "relative",
    ),
    "a dangling link": (lambda at: linked(at), 3, "no such file"),
    "a name with a line end": (named("a\nb"), 2, "control"),
    "a name of hidden direction": (named("a\u202eb"), 2, "direction"),
    "a name that is no UTF-8": (named(b"a\xff"), 2, "UTF-8"),
    "a name with a backslash": (named("a\\b"), 2, "forbidden"),
    "names that differ in case": (
        folder_with(lambda at: [(at / n).touch() for n in ("Readme", "README")]),
        2,
        "upper and lower case",
    ),
    "a path of 33 parts": (folder_with(lambda at: os.makedirs(at / "/".join("a" * 33))), 2, "32"),
}


def linked(at: Path) -> Path:
    (at / "dangling").symlink_to("nowhere")
    return at / "dangling"


@pytest.mark.parametrize("name", UNPUBLISHABLE)
def test_what_cannot_be_published_is_refused(daemons: Daemons, place: Path, name: str) -> None:
    make, code, part = UNPUBLISHABLE[name]
    refused(told(daemons, place, "push", str(make(place)), "bad:1"), code, part)
    shown = told(daemons, place, "show", "bad:1")
    assert shown.code == 3


@pytest.mark.parametrize("kind", ["empty file", "empty folder", "folder of empty folders"])
def test_what_is_empty_can_be_published(daemons: Daemons, place: Path, kind: str) -> None:
    source = place / "empty"
    if kind == "empty file":
        source.touch()
    else:
        (source / "a/b" if "of" in kind else source).mkdir(parents=True)
    reference = f"{kind.replace(' ', '-')}:1"
    assert told(daemons, place, "push", str(source), reference, "--quiet").code == 0
    daemons.names = daemons.fleet.api.json("names")
    assert told(daemons, place, "get", reference, "-o", "copy", "--quiet").code == 0
    copy = place / "copy"
    assert copy.is_dir() == source.is_dir()
    assert sorted(p.relative_to(copy) for p in copy.rglob("*")) == sorted(
        p.relative_to(source) for p in source.rglob("*")
    )


def test_a_file_that_changes_while_it_is_read_is_refused(daemons: Daemons, place: Path) -> None:
    source = place / "changing"
    with source.open("wb") as file:
        file.truncate(LARGE_BYTES)
    stop = threading.Event()

    def change() -> None:
        with source.open("r+b") as file:
            while not stop.wait(0.001):
                file.seek(0)
                file.write(os.urandom(16))
                file.flush()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        refused(told(daemons, place, "push", str(source), "bad:1", "--quiet"), 1, "changing")
    finally:
        stop.set()
        changing.join()
    assert told(daemons, place, "show", "bad:1").code == 3


def test_a_file_that_changes_while_it_is_uploaded_is_refused(daemons: Daemons, place: Path) -> None:
    source = make_file(place / "changing", seed=6)
    push = daemons.fleet.start("push", str(source), "bad:1", "--rate", "64K")
    until(lambda: any(of.get("done_bytes") for of in list(push.events)), "the upload to begin")
    source.write_bytes(b"other" * 1000)
    ended = push.event("error")
    assert ended["code"] == "changed" and "changing" in ended["message"]
    ends_with(push, 1)
    assert told(daemons, place, "show", "bad:1").code == 3


# --- where it is put -----------------------------------------------------------------------------


def test_an_output_that_exists_is_replaced_only_by_a_whole_one(
    daemons: Daemons, place: Path
) -> None:
    (place / "out").write_bytes(b"mine")
    words = ("get", "app:1", "-o", "out", "--rate", "64K", "--deadline", "300ms", "--quiet")
    # as a process: what it was doing when its time ran out ends with it
    refused(run(*words, env=daemons.fleet.env, cwd=place), 10)
    assert (place / "out").read_bytes() == b"mine"
    got = told(daemons, place, "get", "app:1", "-o", "out", "--quiet")
    assert got.code == 0, got.err
    assert (place / "out").read_bytes() == daemons.content


OUTPUTS: dict[str, tuple[Callable[[Path], object], str, tuple[int, ...]]] = {
    "below a file": (lambda at: (at / "file").touch(), "file/out", (2,)),
    "below nothing": (lambda at: None, "no/such/folder/out", (2,)),
    "in place of a full folder": (lambda at: os.makedirs(at / "out/app.bin/x"), "out", (2, 7)),
    "a name of 300 bytes": (lambda at: None, "n" * 300, (2, 7)),
    "a folder of the system": (lambda at: None, "/proc/out", (2, 7)),
    "a FIFO": (fifo, "pipe", (2,)),
    "a socket": (unix_socket, "sock", (2,)),
    "a loop of links": (lambda at: (at / "loop").symlink_to("loop"), "loop/out", (2, 7)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_cannot_be_is_refused(daemons: Daemons, place: Path, name: str) -> None:
    make, output, codes = OUTPUTS[name]
    make(place)
    before = sorted(place.rglob("*"))
    done = told(daemons, place, "get", "app:1", "-o", output, "--quiet")
    assert done.code in codes, (done.code, done.err)
    refused(done, done.code)
    assert sorted(place.rglob("*")) == before


# --- interrupts and pipes ------------------------------------------------------------------------


def started(daemons: Daemons, place: Path, *words: str, **streams: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "strew", *words],
        env=daemons.fleet.env,
        cwd=place,
        stderr=subprocess.PIPE,
        **streams,  # type: ignore[call-overload]
    )


def test_a_push_that_is_interrupted_publishes_nothing(daemons: Daemons, place: Path) -> None:
    source = make_file(place / "slow", seed=5)
    push = daemons.fleet.start("push", str(source), "bad:1", "--rate", "64K")
    until(lambda: any(of.get("done_bytes") for of in list(push.events)), "the upload to begin")
    assert push.stop(signal.SIGINT) == 130
    assert push.events[-1]["code"] == "interrupted"
    assert push.errors == ""
    assert told(daemons, place, "show", "bad:1").code == 3


@pytest.mark.parametrize("words", [("--help",), ("ls",), ("show", "app:1"), ("config", "explain")])
def test_a_reader_that_goes_away_is_no_news(
    daemons: Daemons, place: Path, words: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = started(daemons, place, *words, stdout=writing)
        _, errors = done.communicate(timeout=PATIENCE_S)
    finally:
        os.close(writing)
    assert errors == b"" and done.returncode in (0, 1)


def test_a_full_disk_behind_standard_output_is_told(daemons: Daemons, place: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = started(daemons, place, "get", "app:1", "-o", "-", stdout=full.fileno())
        _, errors = done.communicate(timeout=PATIENCE_S)
    assert done.returncode in (1, 7) and b"No space left" in errors
    assert b"Traceback" not in errors
