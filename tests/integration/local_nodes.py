"""A node provider for Ray's autoscaler whose nodes are processes of this machine, each with a folder of its own as its disk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

# Ray aborts a node whose agents have not told their ports within 15 s of its start, unless they are given.
PORTS = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port", "metrics-export-port")


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
            self._nodes[node_id] = {"tags": dict(tags), "node": self._start(node_id, tags, dict(resources), labels)}

    def _start(self, node_id: str, tags: dict, resources: dict[str, float], labels: dict[str, str]) -> subprocess.Popen:
        number = int(node_id[-5:])
        first = self.provider_config["first_port"] + len(PORTS) * number
        command = [Path(sys.executable).parent / "ray", "start", "--block", f"--address={self._gcs_address}"]
        command += [f"--temp-dir=/tmp/fr{self._gcs_address.rpartition(':')[2]}.{number}"]
        command += ["--min-worker-port=0", "--max-worker-port=0"]
        command += [f"--{name}={first + place}" for place, name in enumerate(PORTS)]
        command += [f"--num-cpus={resources.pop('CPU', 0)}"]
        command += [f"--num-gpus={resources.pop('GPU', 0)}", f"--object-store-memory={resources.pop('object_store_memory')}"]
        command += [f"--resources={json.dumps(resources)}"]
        command += [f"--labels={','.join(f'{key}={value}' for key, value in labels.items())}"] if labels else []
        names = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id, "RAY_CLOUD_INSTANCE_ID": node_id}
        names["RAY_NODE_TYPE_NAME"] = tags[TAG_RAY_USER_NODE_TYPE]
        return subprocess.Popen(command, env=os.environ | names, stdin=subprocess.DEVNULL)

    def _terminate_node(self, node: dict[str, Any]) -> None:
        node["node"].terminate()
