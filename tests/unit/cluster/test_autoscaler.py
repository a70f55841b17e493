"""What is read from the autoscaler's state; a real autoscaler answers in tests/integration."""

from typing import Any

from ray.core.generated import autoscaler_pb2

from flame_ray.cluster.autoscaler import Scaling, scaling_of

protocol: Any = autoscaler_pb2


def request(bundle: dict[str, float], **labels: str) -> Any:
    asked = protocol.ResourceRequest(resources_bundle=bundle)
    for key, value in labels.items():
        asked.label_selectors.add().label_constraints.add(label_key=key, label_values=[value])
    return asked


def test_nothing_is_said_of_a_cluster_that_has_all_it_needs():
    assert scaling_of(protocol.AutoscalingState()) == Scaling()
    assert str(Scaling()) == "coming: no node"


def test_nodes_that_are_asked_for_and_nodes_that_boot_are_counted_by_type():
    state = protocol.AutoscalingState()
    state.pending_instance_requests.add(ray_node_type_name="rollout", count=2)
    state.pending_instances.add(ray_node_type_name="rollout")
    state.pending_instances.add(ray_node_type_name="learner")
    assert str(scaling_of(state)) == "coming: 1 learner, 3 rollout"


def test_what_no_node_can_hold_is_listed_with_its_labels_and_a_group_as_one():
    state = protocol.AutoscalingState()
    state.infeasible_resource_requests.extend([request({"CPU": 2, "GPU": 1}, role="rolout")] * 2)
    group = state.infeasible_gang_resource_requests.add(details="0a:PACK|PENDING")
    group.requests.extend([request({"CPU": 4, "bundle_group_0a": 1})] * 8)
    assert scaling_of(state).infeasible == ("2 x {CPU 2, GPU 1, role rolout}", "one group of 8 x {CPU 4}")


def test_a_launch_that_the_provider_refused_is_given_with_its_reason():
    state = protocol.AutoscalingState()
    state.failed_instance_requests.add(ray_node_type_name="rollout", reason="InsufficientInstanceCapacity")
    assert str(scaling_of(state)) == "coming: no node; not launched: rollout (InsufficientInstanceCapacity)"
