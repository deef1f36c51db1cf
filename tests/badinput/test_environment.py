"""Commands and daemons without a home, a locale, a place to write, or anybody to speak to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.badinput.daemons import PATIENCE_S, Daemons, ends_with
from tests.cli.processes import Done, Running, call
from tests.lab.root import needs_root

# Those that start one process after another are marked long: together they take ten seconds.

BARE = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
"""What a service manager gives a process that was told of nothing else."""

READ_ONLY = (
    'mount --bind "$0" "$0" && mount -o remount,ro,bind / && cd "$0" && '
    'for at in /tmp /var/tmp; do ! touch "$at/x" 2>/dev/null || exit 99; done; exec "$@"'
)
"""A shell's words: all but one folder is read-only, in a mount namespace of its own."""


def run_in(env: dict[str, str], cwd: Path, *words: str, **streams: int) -> Done:
    done = subprocess.run(
        words,
        env=env,
        cwd=cwd,
        timeout=PATIENCE_S,
        check=False,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),
    )
    out, err = (data.decode() if data else "" for data in (done.stdout, done.stderr))
    return Done(done.returncode, out, err)


def strew(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "strew", *words)


def one_line(done: Done, code: int, part: str) -> None:
    assert done.code == code, (done.code, done.out, done.err)
    assert done.err.count("\n") == 1 and done.err.startswith("strew: "), done.err
    assert part in done.err


def at(daemons: Daemons) -> dict[str, str]:
    return {"STREW_AT": daemons.fleet.at, "STREW_FLEET_KEY": daemons.key.text}


# --- no home -------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [None, "", "relative", "/nowhere/at/all"])
def test_without_a_home_commands_need_no_more_than_they_are_told(
    daemons: Daemons, tmp_path: Path, home: str | None
) -> None:
    env = BARE | at(daemons) | ({"HOME": home} if home is not None else {})
    assert "app:1" in call("ls", env=env, cwd=tmp_path).out
    got = call("get", "app:1", "-o", "got", "--quiet", env=env, cwd=tmp_path)
    assert (got.code, got.err) == (0, "")
    assert (tmp_path / "got").read_bytes() == daemons.content
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


@pytest.mark.parametrize("command", ["serve", "node"])
def test_without_a_home_a_service_asks_for_its_folder(
    daemons: Daemons, tmp_path: Path, command: str
) -> None:
    env = BARE | at(daemons)
    words = (command, "--listen", "127.0.0.1:0")
    one_line(call(*words, env=env, cwd=tmp_path), 9, "--data")
    running = Running(*words, "--data", "here", env=env, cwd=tmp_path)
    try:
        running.event("listening")
        assert running.stop() == 0
        assert "Traceback" not in running.errors
    finally:
        running.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


# --- no locale -----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "C"}])
def test_names_of_any_script_pass_without_a_locale(
    daemons: Daemons, tmp_path: Path, locale: dict[str, str]
) -> None:
    env = BARE | at(daemons) | {"HOME": str(tmp_path)} | locale
    reference = f"scripts:{'-'.join(locale).lower()}-{len(''.join(locale.values()))}"
    name = "ünïcödé — 名"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / name).write_text("a name of many bytes")
    pushed = run_in(env, tmp_path, *strew("push", "tree", reference, "--quiet"))
    assert pushed.code == 0, pushed.err
    daemons.names = daemons.fleet.api.json("names")
    got = run_in(env, tmp_path, *strew("get", reference, "-o", "copy", "--quiet"))
    assert got.code == 0, got.err
    assert os.listdir(os.fsencode(tmp_path / "copy")) == [name.encode()]
    shown = run_in(env, tmp_path, *strew("show", reference))
    assert shown.code == 0 and "d" in shown.out and shown.err == ""


# --- nowhere to write ----------------------------------------------------------------------------


def read_only(writable: Path, *words: str) -> tuple[str, ...]:
    return ("unshare", "--mount", "sh", "-c", READ_ONLY, str(writable), *words)


@needs_root
def test_on_a_read_only_root_services_live_in_their_folders(
    daemons: Daemons, tmp_path: Path
) -> None:
    env = BARE | at(daemons) | {"HOME": "/root"}
    into, data = str(tmp_path / "into"), str(tmp_path / "data")
    words = ("node", "--join", daemons.fleet.at, "--follow", "app:*", "--into", into)
    node = Running(
        *(*words, "--data", data, "--listen", "127.0.0.1:0"),
        env=env,
        cwd=tmp_path,
        wrapped=read_only(tmp_path),
    )
    try:
        node.event("transfer", reference="app:1")
        assert (tmp_path / "into/app.bin").read_bytes() == daemons.content
        assert node.stop() == 0
        assert "Traceback" not in node.errors
    finally:
        node.kill()


@needs_root
@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ls",), 0),
        (("get", "app:1", "-o", "/var/got"), 7),
        (("push", "/etc/passwd", "bad:1"), 7),
        (("node", "--listen", "127.0.0.1:0"), 7),
        (("serve", "--listen", "127.0.0.1:0"), 7),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_on_a_read_only_root_what_must_write_says_where(
    daemons: Daemons, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    env = BARE | at(daemons) | {"HOME": "/var/nobody"}
    # nothing is writable but a folder that is taken away from under it
    script = f"{READ_ONLY.replace('exec', f'mount -o remount,ro,bind {inner} && exec')}"
    done = run_in(
        env, tmp_path, "unshare", "--mount", "sh", "-c", script, str(inner), *strew(*words, "-q")
    )
    if code:
        one_line(done, code, "")
        assert "ead-only" in done.err or "temporary" in done.err, done.err
    else:
        assert (done.code, done.err) == (0, "")


def test_in_a_folder_that_is_gone_commands_work_or_say_so(daemons: Daemons, tmp_path: Path) -> None:
    env = BARE | at(daemons) | {"HOME": str(tmp_path)}
    gone = tmp_path / "gone"
    script = 'rmdir "$0" && exec "$@"'

    def there(*words: str) -> Done:
        gone.mkdir()
        return run_in(env, gone, "sh", "-c", script, str(gone), *strew(*words))

    listed = there("ls")
    assert listed.code == 0 and "app:1" in listed.out
    one_line(there("get", "app:1", "--quiet"), 2, "")
    one_line(there("push", "x", "bad:1", "--quiet"), 2, "")
    assert not gone.exists()


# --- nowhere to speak ----------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_with_its_streams_closed_a_command_does_its_work(
    daemons: Daemons, tmp_path: Path, closed: str
) -> None:
    env = BARE | at(daemons) | {"HOME": str(tmp_path)}
    words = strew("get", "app:1", "-o", "got")
    done = run_in(env, tmp_path, "sh", "-c", f'exec "$@" {closed}', "sh", *words)
    assert done.code == 0, done.err
    assert (tmp_path / "got").read_bytes() == daemons.content
    assert "Traceback" not in done.err


def test_a_service_whose_log_goes_away_goes_on(daemons: Daemons, tmp_path: Path) -> None:
    node = Running(
        *("node", "--join", daemons.fleet.at, "--follow", "app:*", "--into", "into"),
        *("--data", "data", "--listen", "127.0.0.1:0"),
        env=daemons.fleet.env,
        cwd=tmp_path,
        wrapped=("sh", "-c", 'exec "$@" 2>&-', "sh"),
    )
    try:
        node.event("transfer", reference="app:1")
        node.process.terminate()
        ends_with(node, 0)
    finally:
        node.kill()
    shutil.rmtree(tmp_path / "data")
