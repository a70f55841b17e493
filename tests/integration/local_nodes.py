"""A node provider for Ray's autoscaler whose nodes are processes of this machine, each with a folder of its own as its disk."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

AGENTS, AGENTS_S = 2, 40.0


class LocalNodes(FakeMultiNodeProvider):
    """Ray's own fake nodes share the head's session folder. There, each new node unpacks a job's package once more, over the
    one in which the driver runs.
    """

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        """Without those whose process ended by itself, as a cloud would say of them."""
        with self.lock:
            for node_id, node in list(self._nodes.items()):
                if "node" in node and node["node"].poll() is not None:
                    del self._nodes[node_id]
            return super().non_terminated_nodes(tag_filters)

    def _create_node_with_resources_and_labels(
        self, node_config: dict, tags: dict[str, str], count: int, resources: dict[str, float], labels: dict[str, str]
    ) -> None:
        with self.lock:
            node_id = self._next_hex_node_id()
            process = self._start(node_id, tags, dict(resources), labels)
            self._nodes[node_id] = {"tags": dict(tags), "node": process}
        if not _has_agents(self._folder(node_id), process):
            process.terminate()  # its raylet has given up, and the autoscaler asks for another node

    def _folder(self, node_id: str) -> Path:
        return Path(f"/tmp/fr{self._gcs_address.rpartition(':')[2]}.{int(node_id[-5:])}")

    def _start(self, node_id: str, tags: dict, resources: dict[str, float], labels: dict[str, str]) -> subprocess.Popen:
        command = [Path(sys.executable).parent / "ray", "start", "--block", f"--address={self._gcs_address}"]
        command += [f"--temp-dir={self._folder(node_id)}", "--min-worker-port=0", "--max-worker-port=0"]
        command += ["--dashboard-agent-listen-port=0", f"--num-cpus={resources.pop('CPU', 0)}"]
        command += [f"--num-gpus={resources.pop('GPU', 0)}", f"--object-store-memory={resources.pop('object_store_memory')}"]
        command += [f"--resources={json.dumps(resources)}"]
        command += [f"--labels={','.join(f'{key}={value}' for key, value in labels.items())}"] if labels else []
        names = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id, "RAY_CLOUD_INSTANCE_ID": node_id}
        names["RAY_NODE_TYPE_NAME"] = tags[TAG_RAY_USER_NODE_TYPE]
        return subprocess.Popen(command, env=os.environ | names, stdin=subprocess.DEVNULL)

    def _terminate_node(self, node: dict[str, Any]) -> None:
        node["node"].terminate()


def _has_agents(folder: Path, node: subprocess.Popen) -> bool:
    """Ray gives a node's agents some 20 seconds to start. On a busy machine several nodes at a time need longer."""
    deadline = time.monotonic() + AGENTS_S
    while len([*folder.glob("session_2*/*_agent_port_*")]) < AGENTS:
        if node.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
