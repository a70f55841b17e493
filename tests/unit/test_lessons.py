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


# Public reports of others who do this job, as they were tried on this project: on prompts, models and runs, and on what users
# type. Those on scoring, but for A12, are rows of rewards/factuality/test_reports.py, by these numbers.
SCORING = (1, 3, 4, 6, 7, 8, 10, 14, 16, 18, 21, 23, 24, 25, 28, 29, 31, 33, 34, 36, 38)
REPORTED = {
    "A12 another script": {"test_another_language_is_refused_openly_and_never_scored"},
    "B01 prompts as chats": {
        "test_a_chat_is_read_by_its_first_request_in_any_usual_column",
        "test_a_chat_of_two_lists_and_one_of_parts_of_text_are_read",
    },
    "B03 the input of an instruction": {
        "test_a_text_that_belongs_to_the_instruction_is_kept_or_refused_and_left_out_only_on_request",
        "test_the_text_that_an_instruction_is_about_is_a_part_of_the_prompt_in_every_suite_that_may_have_one",
    },
    "B05 B06 a byte order mark": {
        "test_a_byte_order_mark_before_the_first_prompt_is_no_part_of_it",
        "test_a_byte_order_mark_before_the_first_passage_is_no_part_of_it",
    },
    "B07 half a character": {
        "test_half_of_a_character_is_an_error_with_its_place",
        "test_half_a_character_is_refused_where_it_stands",
    },
    "B08 a missing file of weights": {"test_a_folder_without_one_of_the_files_of_its_weights_is_refused_by_that_file"},
    "B09 weights that are cut off": {"test_a_file_of_weights_that_is_cut_off_is_refused_by_name_before_anything_loads_it"},
    "B10 weights that are there twice": {"test_weights_that_are_there_twice_count_once"},
    "B11 variables of a chat template": {"test_a_template_reads_the_variables_of_the_job"},
    "B12 a chat template that raises": {
        "test_a_template_that_raises_is_a_fault_of_the_model_with_its_own_words_before_anything_is_placed",
    },
    "B15 experts under other names": {
        "test_a_mixture_of_experts_that_transformers_renames_is_refused_at_the_start_as_what_it_is",
        "test_a_mixture_of_experts_is_trained_if_what_is_pushed_has_the_names_of_its_files",
    },
    "B17 a model's own dropout": {"test_a_model_drops_nothing_of_itself_in_training"},
    "B22 a prompt too long to classify": {
        "test_a_model_without_room_for_the_question_that_classifies_prompts_is_refused",
        "test_a_question_about_an_instruction_that_is_too_long_loses_the_middle_of_the_instruction",
    },
    "B23 overlong prompts": {
        "test_every_prompt_that_is_too_long_is_counted_and_the_first_ten_are_named_by_their_places",
        "test_overlong_prompts_are_left_out_and_counted_if_the_settings_say_so",
    },
    "B24 a round without pairs": {
        "test_a_round_without_pairs_trains_nothing_and_the_next_one_samples_anew",
        "test_the_summary_counts_a_skipped_round_with_its_reasons_and_the_run_is_complete",
    },
    "B27 a model that lacks an attention": {
        "test_a_model_that_cannot_be_loaded_as_it_must_be_is_refused_with_the_reason",
    },
    "passes: ids above the tokenizer": {
        "test_ids_above_the_tokenizers_vocabulary_as_padded_models_may_sample_them_have_no_text",
        "test_ids_beyond_the_tokenizer_are_learned_as_any_others",
    },
    "passes: several end-of-text ids": {
        "test_of_several_end_of_text_tokens_an_answer_ends_with_the_one_that_the_template_writes",
        "test_every_request_stops_at_each_end_of_text_token_of_the_model",
    },
    "passes: pad equal to eos": {"test_a_token_of_a_text_that_is_also_the_padding_counts_as_any_other"},
    "passes: one BOS": {
        "test_a_template_that_writes_the_mark_of_the_beginning_gets_one_though_the_tokenizer_adds_one_too",
    },
    "passes: identical, tied and NaN groups": {
        "test_a_response_that_was_said_before_is_counted_once_as_a_duplicate",
        "test_equal_scores_are_a_tie_of_their_kind",
        "test_a_judge_score_that_is_not_finite_is_neither_chosen_nor_rejected",
    },
    "passes: a merged model loads again": {"test_a_merged_model_of_each_dense_family_reloads_to_what_was_trained"},
    "passes: refusals, empty responses, no evidence": {
        "test_refusals_fluff_and_nothing_at_all_abstain_and_have_no_precision",
        "test_no_evidence_supports_nothing",
    },
    "typed: a name that is no setting's": {"test_a_word_that_is_typed_wrong_is_refused_in_one_line_and_leaves_nothing"},
    "typed: what stands in place of a section": {
        "test_whatever_stands_in_place_of_a_section_is_said_without_pythons_words",
    },
    "typed: a key twice, true for a number": {
        "test_what_is_wrong_is_said_with_its_line_and_without_the_librarys_words",
        "test_no_number_is_true_false_or_without_end",
    },
    "typed: an empty --resume": {"test_a_resume_that_names_no_run_does_not_start_a_new_one"},
    "typed: a folder for a job": {"test_a_folder_is_no_job_file"},
    "typed: a root where nothing can be written": {
        "test_a_root_where_nothing_can_be_written_is_refused_before_anything_is_placed",
    },
    "typed: a training without its data": {
        "test_a_training_without_its_files_is_a_problem",
        "test_a_prompt_that_leaves_no_room_for_an_answer_is_a_problem",
    },
    "typed: Ctrl-C while actors start": {"test_a_wait_is_interrupted_too"},
    "typed: --version": {"test_the_version_is_printed"},
    "typed: a password in a URL": {"test_the_secret_of_a_url_is_hidden", "test_a_password_is_hidden_before_a_value_is_cut"},
    "typed: malformed lines to score": {"test_the_first_bad_line_is_refused_before_the_start_only_if_that_is_asked_for"},
}


@pytest.fixture(scope="module")
def known() -> set[str]:
    return {
        name for file in TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_is_kept_by_tests_that_exist(lesson, known):
    assert LESSONS[lesson] <= known


@pytest.mark.parametrize("report", REPORTED)
def test_each_public_report_has_tests_that_exist(report, known):
    assert REPORTED[report] <= known


def test_each_public_report_of_scoring_has_a_row_with_the_right_precision():
    text = (TESTS / "unit/rewards/factuality/test_reports.py").read_text(encoding="utf-8")
    assert [number for number in SCORING if f'"A{number:02} ' not in text] == []
