"""Bugs that users of other trainers have met, by issue, and the tests that keep them out of this project."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
LESSONS = {
    "a sample joined to another prompt (trl#6228)": {
        "test_a_pair_of_two_prompts_rounds_or_of_one_sample_with_itself_is_refused",
        "test_every_response_names_its_prompt_its_tokens_and_the_weights_that_made_it",
    },
    "stale weights after a sync (trl#5312)": {
        "test_a_worker_that_claims_the_version_and_keeps_the_old_weights_is_caught",
        "test_a_worker_that_joins_later_is_brought_to_the_version_before_it_serves",
    },
    "keys and values of the old policy in the prefix cache (NeMo-RL#4018, vllm#9744)": {
        "test_greedy_text_equals_that_of_a_fresh_engine",
    },
    "a finish reason guessed from the prompt (trl#6802)": {
        "test_every_response_names_its_prompt_its_tokens_and_the_weights_that_made_it",
    },
    "one side of a pair masked (OpenRLHF#294)": {"test_log_probabilities_of_both_sides_equal_a_slow_reference"},
    "a chat template applied twice (trl#1930)": {"test_a_request_carries_the_plan_and_its_own_prompts_tokens"},
    "a reward model that read the policy's tokens (OpenRLHF#242, trl#6952)": {
        "test_a_response_that_does_not_fit_the_judges_model_is_missing_and_is_not_asked_about",
    },
    "rewards that moved with a version (OpenRLHF#1108)": {"test_the_record_is_json_that_names_versions_machine_and_command"},
    "a process group made with a device id (open-instruct#1311)": {
        "test_an_update_is_the_same_however_it_is_spread",
        "test_weights_and_samples_cross_hosts_and_nothing_changes",
    },
    "a health check behind a long call (open-instruct#1454)": {
        "test_a_worker_that_hangs_is_given_up_and_its_item_done_elsewhere",
        "test_a_worker_that_does_not_answer_in_time_is_given_up",
    },
    "ranks with unequal work (ms-swift#8102)": {
        "test_padding_with_copies_of_weight_zero_changes_neither_loss_nor_gradient",
        "test_ranks_share_a_batch_without_loss_or_overlap_and_in_equal_parts",
    },
    "wrong rank offsets of split engines (SkyRL#1399, OpenRLHF#865)": {
        "test_memory_of_a_split_engine_is_that_of_each_gpu",
    },
    "a placement that can never be (ray#18018)": {
        "test_too_few_workers_in_time_is_a_placement_error_that_says_how_many",
        "test_more_actors_than_the_cluster_can_ever_place_are_refused",
    },
    "host memory eaten by what was offloaded (OpenRLHF#1013)": {
        "test_a_rank_on_a_cpu_holds_everything_on_the_machine",
        "test_a_rank_on_a_gpu_still_loads_the_whole_model_into_the_machine",
    },
    "out of memory at wake-up (vllm#15254, OpenRLHF#808)": {
        "test_the_order_of_a_round_is_asleep_train_weights_then_kv_cache",
        "test_what_goes_from_gpu_to_gpu_goes_while_the_learner_is_there_and_the_kv_caches_are_not",
    },
    "a resume that did nothing and ended well (verl#5725, verl#7401)": {
        "test_a_run_that_was_told_to_stop_refuses_a_damaged_state_and_a_full_disk_and_ends_as_if_undisturbed",
    },
    "a partial checkpoint that was trusted (OpenRLHF#1103)": {
        "test_a_state_without_a_manifest_is_refused",
        "test_a_flipped_bit_anywhere_in_the_manifest_itself_is_found",
        "test_a_finished_round_keeps_its_state_and_removes_those_inside_it",
    },
    "reference log-probabilities that failed under ZeRO (trl#6403)": {
        "test_reference_round_starts_each_round_at_log_two_and_reference_initial_does_not",
    },
    "private calls that each release broke (OpenRLHF#922, NeMo-RL#4080)": {
        "test_what_is_missing_is_a_problem_and_what_is_untested_a_warning",
    },
    "a package too large to submit, a reward that hangs (ray#38566, OpenRLHF#1123, slime#1582)": {
        "test_a_package_too_large_names_its_largest_entries_and_matters_to_those_who_submit",
        "test_a_missing_factuality_reward_is_never_taken_for_zero",
    },
}


@pytest.fixture(scope="module")
def known() -> set[str]:
    return {
        name for file in TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_is_kept_by_tests_that_exist(lesson, known):
    assert LESSONS[lesson] <= known
