"""A cluster that `ray up` makes over three hosts: who may use it, and what becomes of a host.

What tests do to a worker, they undo: `test_cluster_run` has the same cluster.
"""

import re

import pytest

from tests.clusters import (
    WITH_TOKEN,
    Cluster,
    answer,
    ask,
    await_nodes,
    put,
    watch_nodes,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

HOSTNAMES = """
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
@ray.remote(num_cpus=1)
def name():
    import socket
    return socket.gethostname()
places = {one["NodeManagerAddress"]: one["NodeID"] for one in ray.nodes() if one["Alive"]}
names = {at: name.options(scheduling_strategy=On(node, soft=False)).remote()
         for at, node in places.items()}
tell({at: ray.get(one, timeout=100) for at, one in names.items()})
"""


def test_a_function_runs_on_each_host(cluster: Cluster):
    names = ask(cluster.head, cluster, HOSTNAMES)
    assert names == {host.address: host.name for host in cluster.nodes}


STORED = """
import sys
from pyarrow import fs
system, path = fs.FileSystem.from_uri(sys.argv[1])
if sys.argv[2:]:
    with system.open_output_stream(path) as file:
        file.write(sys.argv[2].encode() * (6 << 20))
with system.open_input_file(path) as file:
    content = file.read()
print(len(content), content[:6].decode())
"""


def test_hosts_share_the_storage(cluster: Cluster):
    one, other = cluster.workers
    put(one, "stored.py", STORED)
    put(other, "stored.py", STORED)
    file = f"{cluster.storage}/folder/file"
    written = one.run(f"python stored.py {file} {one.name}")  # over 5 MiB: in parts
    assert written == other.run(f"python stored.py {file}") == f"{7 * (6 << 20)} worker\n"


CONNECT = """
import sys
import ray
ray.init(address=sys.argv[1], log_to_driver=False)
"""
READ = """
import sys
from ray._raylet import GcsClient
assert len(GcsClient(address=sys.argv[1]).get_all_node_info()) == 3
"""
WAYS = {
    "driver": ("head", "python connect.py {head}:6379"),
    "client": ("laptop", "python connect.py ray://{head}:10001"),
    "GCS": ("laptop", "python read.py {head}:6379"),
    "job list": ("head", "ray job list --address {dashboard}"),
    "job submit": ("head", "ray job submit --address {dashboard} -- touch /tmp/{token}"),
}
"""How one gets at a cluster, and from which host: Ray takes drivers from its nodes alone, and the
dashboard need not listen to others."""
TOKENS = {
    "right": WITH_TOKEN,
    "wrong": f"{WITH_TOKEN} RAY_AUTH_TOKEN_PATH=wrong",
    "none": "RAY_AUTH_MODE=disabled",
}
REFUSED = re.compile(
    r"AuthenticationError|InvalidAuthToken|Authentication (required|failed)"
    r"|ray client connection timeout"  # Ray's client says no more
)


@pytest.mark.parametrize("token", TOKENS)
def test_nobody_gets_in_without_the_token(cluster: Cluster, token: str):
    head, places = cluster.head, {"head": cluster.head, "laptop": cluster.laptop}
    for host in places.values():
        put(host, "connect.py", CONNECT)
        put(host, "read.py", READ)
        put(host, "wrong", "0" * len(cluster.token))
    # Each that is let in starts a process on the head: one after another, on two cores.
    turns = [[way] for way in WAYS] if token == "right" else [list(WAYS)]
    tries, outputs = {}, {}
    for turn in turns:
        for way in turn:
            place, command = WAYS[way]
            words = command.format(head=head.address, dashboard=cluster.dashboard, token=token)
            # Ray tries a driver's connection twenty times.
            said = f"export RAY_NUM_REDIS_GET_RETRIES=2 {TOKENS[token]}; {words}"
            tries[way] = places[place].start(said)
        outputs |= {way: tries[way].communicate(timeout=300)[0] for way in turn}
    got_in = {way for way, process in tries.items() if process.returncode == 0}
    touched = f"/tmp/{token}" in head.run("ls -d /tmp/*").split()
    if token == "right":
        kept_out = {way: text for way, text in outputs.items() if way not in got_in}
        assert not kept_out, "\n".join(f"{way}:\n{text}" for way, text in kept_out.items())
        assert touched
    else:
        assert got_in == set(), outputs
        assert not touched
        assert not {way: text for way, text in outputs.items() if not REFUSED.search(text)}


NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"


def test_other_users_of_a_host_read_no_file_of_ray(cluster: Cluster):
    """What Ray logs can hold the token: its dashboard logs the request for a job that is not."""
    job_logs = f"ray job logs --address {cluster.dashboard} --follow no-such-job"
    cluster.head.start(f"export {WITH_TOKEN}; {job_logs}").communicate(timeout=120)
    for host in cluster.nodes:
        find = "find /tmp /dev/shm -readable -path '*session_*' 2>/dev/null || true"
        mine = host.run(f"touch /tmp/session_open; {find}").split()
        assert any("/logs/raylet" in path for path in mine)
        assert host.run(f'{NOBODY} sh -c "{find}"').split() == ["/tmp/session_open"]


NOTICE = """
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
@ray.remote(num_cpus=1)
class Busy:
    def begin(self):
        return True
    def notice(self, seconds):
        from ray._private.state import state
        me, begin = ray.get_runtime_context().get_node_id(), time.monotonic()
        while time.monotonic() - begin < seconds:
            deadline = state.get_draining_nodes().get(me)
            if deadline:
                return deadline / 1000
            time.sleep(0.1)
(node,) = [one["NodeID"] for one in ray.nodes()
           if one["Alive"] and one["NodeManagerAddress"] == sys.argv[1]]
busy = Busy.options(scheduling_strategy=On(node, soft=False)).remote()
ray.get(busy.begin.remote())
from orchestrator.cloud_notices import Notice
from orchestrator.ray_drain import drain_node
begin = time.time()
drain_node("auto", Notice("a test", begin + 300), node)
deadline = ray.get(busy.notice.remote(30), timeout=60)
tell([node, deadline - begin, time.time() - begin])
"""


def test_a_host_that_is_cut_off_is_noticed_and_the_others_go_on(cluster: Cluster):
    lost, *rest = cluster.workers
    others = [cluster.head, *rest]
    watch = watch_nodes(cluster, *others, seconds=60)
    lost.cut_off()
    try:
        took = answer(watch)
        print(f"noticed after {took} s")
        assert took < 30
        names = ask(cluster.head, cluster, HOSTNAMES)
        assert names == {host.address: host.name for host in others}
    finally:
        lost.plug_in()
    # The autoscaler starts Ray on it again.
    print(f"back after {await_nodes(cluster, *cluster.nodes)} s")


FRESH = """
begin = time.monotonic()
def fresh():
    return any(one["Alive"] and one["NodeManagerAddress"] == sys.argv[1]
               and one["NodeID"] != sys.argv[2] for one in ray.nodes())
while not fresh():
    if time.monotonic() - begin > 200:
        sys.exit(str(ray.nodes()))
    time.sleep(0.2)
tell(time.monotonic() - begin)
"""


def test_a_drained_host_sees_the_notice(cluster: Cluster):
    worker = cluster.workers[-1]
    node, left, took = ask(cluster.head, cluster, NOTICE, worker.address)
    print(f"notice after {took:.1f} s")
    assert left == pytest.approx(300, abs=2)
    # It goes once nothing runs on it, and the autoscaler starts Ray there again.
    print(
        f"back after {ask(cluster.head, cluster, FRESH, worker.address, node, timeout=260):.1f} s"
    )
