"""The scripts that run on a cluster's nodes, with stand-ins for what they call."""

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "clusters"

# In the place of python3.11: makes an environment whose pip says what it is asked for.
PYTHON = """#!/bin/bash
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  printf '#!/bin/bash\\necho "$@" >>"$HOME/pip.log"\\n' >"$3/bin/pip"
  chmod +x "$3/bin/pip"
fi
"""


class Node:
    """A machine with a home folder, the synced code and commands of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.code = home / "fer-orch"
        self.commands = home / "commands"
        self.commands.mkdir()
        (self.code / "clusters").mkdir(parents=True)
        for path in SCRIPTS.glob("*.sh"):
            shutil.copy(path, self.code / "clusters")
        for name in ("requirements.lock", "requirements-gpu.lock", "pyproject.toml"):
            (self.code / name).write_text(name, encoding="utf-8")
        (home / ".bashrc").write_text("# mine\n", encoding="utf-8")

    def command(self, name: str, text: str) -> None:
        path = self.commands / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "USER": "fer",
            "PATH": f"{self.commands}:{os.environ['PATH']}",
            "FER_ORCH_WATCH_PAUSE_S": "0.2",
        }
        return subprocess.run(
            [str(self.code / "clusters" / script), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def read(self, name: str) -> str:
        path = self.home / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    node.command("python3.11", PYTHON)
    yield node
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended already
            if str(tmp_path).encode() in cmdline.read_bytes():
                os.kill(int(cmdline.parent.name), signal.SIGKILL)


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_set_up_installs_the_locks_once(node: Node):
    assert node.run("setup-node.sh", "cpu").returncode == 0
    lock, code = node.read("pip.log").splitlines()
    assert lock.endswith(f"-r {node.code}/requirements.lock")
    assert code.endswith(f"--no-deps --no-build-isolation -e {node.code}")
    node.run("setup-node.sh", "cpu")
    assert len(node.read("pip.log").splitlines()) == 2
    (node.code / "requirements.lock").write_text("newer", encoding="utf-8")
    node.run("setup-node.sh", "cpu")
    assert len(node.read("pip.log").splitlines()) == 4


def test_set_up_is_done_again_where_it_failed(node: Node):
    node.command("python3.11", PYTHON.replace("echo", "exit 1; echo"))
    assert node.run("setup-node.sh", "cpu").returncode != 0
    node.command("python3.11", PYTHON)
    assert node.run("setup-node.sh", "cpu").returncode == 0
    assert len(node.read("pip.log").splitlines()) == 2


def test_a_gpu_node_gets_cuda(node: Node):
    node.command("nvidia-smi", "#!/bin/bash\necho GPU 0: L4\n")
    for kind in ("gpu", "auto"):
        assert node.run("setup-node.sh", kind).returncode == 0
    assert node.read("pip.log").count("requirements-gpu.lock") == 1


def test_a_gpu_node_without_a_gpu_is_refused(node: Node):
    node.command("nvidia-smi", "#!/bin/bash\nexit 9\n")
    done = node.run("setup-node.sh", "gpu")
    assert done.returncode == 1
    assert "sees no GPU" in done.stderr
    assert node.run("setup-node.sh", "auto").returncode == 0
    assert "requirements-gpu.lock" not in node.read("pip.log")


def test_set_up_closes_the_token_and_enters_the_shells(node: Node):
    token = node.home / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("secret", encoding="utf-8")
    token.chmod(0o644)
    for _ in range(2):
        done = node.run("setup-node.sh", "cpu")
        assert "secret" not in done.stdout + done.stderr
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert node.read(".bashrc").count("node-env.sh") == 1
    assert node.read(".bashrc").startswith("# mine")
    assert (node.home / "fer-orch-cache").is_dir()


def test_set_up_asks_for_its_kind(node: Node):
    assert node.run("setup-node.sh").returncode == 2


def ray_folder(node: Node, user: str) -> tuple[Path, str]:
    """Where Ray's files are of a user with this name, and what was said about it."""
    node.command("id", f"#!/bin/bash\necho {user}\n")
    done = subprocess.run(
        ["bash", "-c", f". {node.code}/clusters/node-env.sh; echo $RAY_TMPDIR"],
        env={"HOME": str(node.home), "PATH": f"{node.commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return Path(done.stdout.strip()), done.stderr


def test_rays_files_are_closed_to_others_and_their_paths_are_short_enough(node: Node):
    folder, said = ray_folder(node, "a.very.long.name.of.a@laboratory")
    assert not said
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    socket = "ray/session_2026-01-01_00-00-00_123456_1234567/sockets/dash_TaskEventsHead"
    assert len(str(folder / socket)) <= 107  # `ray._private.utils.validate_socket_filepath`
    assert ray_folder(node, "another")[0] != folder
    for made in (folder, ray_folder(node, "another")[0]):
        made.rmdir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_folder_that_another_has_made_is_not_used(node: Node):
    folder, _ = ray_folder(node, "robbed")
    os.chown(folder, 65534, 65534)
    try:
        instead, said = ray_folder(node, "robbed")
        assert instead == Path("/dev/null")
        assert f"{folder} is another user's" in said
    finally:
        folder.rmdir()


def test_a_watch_that_dies_is_started_again(node: Node):
    node.command("fer-orch", '#!/bin/bash\necho "$@" >>"$HOME/calls"\nexit 3\n')
    assert node.run("watch-node.sh", "aws").returncode == 0
    wait_for(lambda: node.read("calls").count("watch-preemption --cloud aws\n") >= 3)
    assert "the watch ended with 3" in node.read("fer-orch-watch.log")


def test_a_new_watch_ends_the_one_before(node: Node):
    node.command("fer-orch", '#!/bin/bash\necho $$ >>"$HOME/calls"\nexec sleep 1000\n')
    node.run("watch-node.sh", "aws")
    wait_for(lambda: node.read("calls").count("\n") == 1)
    node.run("watch-node.sh", "aws")
    wait_for(lambda: node.read("calls").count("\n") == 2)
    first, second = map(int, node.read("calls").split())
    wait_for(lambda: not _lives(first))
    assert _lives(second)


def test_another_process_with_the_old_number_is_left_alone(node: Node):
    node.command("fer-orch", "#!/bin/bash\nexec sleep 1000\n")
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        (node.home / "fer-orch-watch.pid").write_text(f"{other.pid}\n", encoding="utf-8")
        assert node.run("watch-node.sh", "gcp").returncode == 0
        assert other.poll() is None
        other.kill()


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
