"""By hand: what each recorded request must be answered, and what must stand in the stream after it.

One line a recording, one entry a request, in their order. ``H`` /health, ``S`` /setup, ``V`` /versions, ``P`` /predict with
what is said about each task, ``W`` a webhook with the event that it leaves, ``NOTHING`` a webhook that leaves none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pal_backend.core.vocabulary import Verdict

SAME, DIFFERENT, UNSURE = Verdict.SAME, Verdict.DIFFERENT, Verdict.UNSURE


@dataclass(frozen=True)
class Said:
    """An annotation as it must come out of the stream. ``at`` is its update, of 2026-11-21."""

    annotation: int
    task: int
    at: str
    verdict: Verdict | None
    annotator: str = "1"
    seconds: float | None = None
    origin: str = "manual"
    skipped: bool = False


@dataclass(frozen=True)
class Row:
    """One request: the end of its path, the status, and either a body or an effect."""

    path: str
    status: int
    body: Any = None
    effect: Any = None


def submitted(*said: Said) -> Row:
    """A webhook that leaves annotations."""
    return Row("webhook", 201, {"status": "ok"}, ("Submitted", said))


def deleted(*ids: int) -> Row:
    """A webhook that leaves deletions."""
    return Row("webhook", 201, {"status": "ok"}, ("Deleted", ids))


def tasks_deleted(*ids: int) -> Row:
    """A webhook that leaves the ids of deleted tasks."""
    return Row("webhook", 201, {"status": "ok"}, ("TasksDeleted", ids))


def reconcile(reason: str) -> Row:
    """A webhook after which Label Studio has to be asked."""
    return Row("webhook", 201, {"status": "ok"}, ("ReconcileRequested", reason))


def predicted(**tasks: tuple[str | None, float]) -> Row:
    """A predict: for each task (t1=…) the guess, if one is made, and the score."""
    return Row("predict", 200, [(guess, score) for guess, score in tasks.values()])


H = Row("health", 200, {"status": "UP", "model_class": "PAL"})
S = Row("setup", 200, {"model_version": "v0000"})
V = Row("versions", 200, {"versions": ["v0000"]})
TRAIN = Row("webhook", 201, "job", ("TrainingRequested", ()))
NOTHING = Row("webhook", 201, {"status": "ok"}, None)
CREATED_EMPTY = reconcile("ANNOTATION_CREATED without its content")
TASKS_GONE_EMPTY = reconcile("TASKS_DELETED without its content")

A1 = submitted(Said(1, 1, "21:22:48.108805", SAME, seconds=3.2))
A1_CHANGED = submitted(Said(1, 1, "21:22:48.670808", DIFFERENT, seconds=5.0))
A1_GROUND_TRUTH = submitted(Said(1, 1, "21:22:49.208375", DIFFERENT, seconds=5.0))
A2 = submitted(Said(2, 2, "21:22:49.726564", SAME, seconds=1.0))
A3_SKIPPED = submitted(Said(3, 3, "21:22:50.210794", None, seconds=2.0, skipped=True))
A3 = submitted(Said(3, 3, "21:22:50.739040", UNSURE, seconds=2.0))
A4 = submitted(Said(4, 4, "21:22:53.012312", SAME, seconds=3.2))
BULK = submitted(
    Said(6, 6, "21:22:56.306458", SAME, origin="prediction"),
    Said(7, 7, "21:22:56.306509", DIFFERENT, origin="prediction"),
)
A36 = submitted(Said(36, 103, "21:26:21.671836", SAME, seconds=3.0))
A37 = submitted(Said(37, 105, "21:26:36.867643", SAME, seconds=3.0))
IMPORTED = reconcile("tasks were imported with annotations")

P1 = predicted(t1=("Same", 0.001))
P2 = predicted(t2=("Different", 0.002))
P234 = predicted(t2=("Different", 0.002), t3=("Same", 0.003), t4=("Different", 0.004))
P1234 = predicted(t1=("Same", 0.001), t2=("Different", 0.002), t3=("Same", 0.003), t4=("Different", 0.004))
P4 = predicted(t4=("Different", 0.004))
P5 = predicted(t5=(None, 1.0))  # nobody of ours posted task 5
P107 = predicted(t107=("Same", 0.107))
P108 = predicted(t108=("Different", 0.108))
P109 = predicted(t109=("Same", 0.109))
P1079 = predicted(t107=("Same", 0.107), t108=("Different", 0.108), t109=("Same", 0.109))
P110 = predicted(t110=("Different", 0.11))
P180 = predicted(t180=("Different", 0.18))

SEEDED = (1, 2, 3, 4, 6, 7, 8, 9, 48, 103, 105, 107, 108, 109, 110, 115, 180)
"""Tasks that ask questions of ours: task t has score t/1000 and looks the same if t is odd."""

TABLE: dict[str, tuple[int, tuple[Row, ...]]] = {
    # name of the recording: (Label Studio's project, its requests)
    "04_ml_connect": (2, (H, S, H, S)),
    "07_ml_list": (2, (H, S)),
    "08_ml_versions": (2, (V,)),
    "09_tasks_import": (2, (NOTHING, NOTHING)),
    "10_open_task_no_auto": (2, (H, S, P1)),
    "12_next_task_sequential": (2, (H, S)),
    "13_retrieve_predictions_all": (2, (H, S, P234)),
    "14_retrieve_predictions_again": (2, (H, S)),
    "15_retrieve_predictions_new_version": (2, (H, S, P1234)),
    "17_project_patch_auto_predict": (2, (NOTHING, NOTHING)),
    "18_tasks_import_one": (2, (NOTHING, NOTHING)),
    "19_dm_list_auto_predict": (2, (H, S, P5)),
    "20_next_task_auto_predict": (2, (H, S)),
    "21_interactive": (2, (P2,)),
    "22_predict_test": (2, (P4,)),
    "24_annotation_create": (2, (A1, CREATED_EMPTY, A1)),
    "25_annotation_update": (2, (A1_CHANGED, A1_CHANGED)),
    "26_annotation_ground_truth": (2, (A1_GROUND_TRUTH, A1_GROUND_TRUTH)),
    "27_annotation_from_prediction": (2, (A2, CREATED_EMPTY, A2)),
    "28_annotation_skip": (2, (A3_SKIPPED, CREATED_EMPTY, A3_SKIPPED)),
    "29_annotation_unskip": (2, (A3, A3)),
    "31_annotation_delete": (2, (deleted(1), deleted(1))),
    "32_start_training": (2, (TRAIN,)),
    "33_project_patch_min_train": (2, (NOTHING, NOTHING)),
    "34_annotation_create_autotrain": (2, (TRAIN, A4, CREATED_EMPTY, A4)),
    "35_project_patch_no_autotrain": (2, (NOTHING, NOTHING)),
    "36_project_update_title": (2, (NOTHING, NOTHING)),
    "37_label_config_change": (2, (NOTHING, NOTHING)),
    "39_import_with_predictions": (2, (IMPORTED, IMPORTED)),
    "40_import_bad_prediction": (2, (NOTHING, NOTHING)),
    "41_predictions_to_annotations": (2, (BULK, BULK)),
    "42_delete_annotations_batch": (2, (deleted(2), deleted(2))),
    "44_delete_tasks_batch": (2, (tasks_deleted(2, 3), TASKS_GONE_EMPTY, tasks_deleted(2, 3))),
    "45_delete_task_one": (2, (tasks_deleted(4), TASKS_GONE_EMPTY, tasks_deleted(4))),
    "47_task_create_single": (2, (NOTHING, NOTHING)),
    "48_ml_patch": (2, (H, S, H, S, H, S)),
    "50_ml_delete": (2, (H, S)),
    "61_overlap2_first_annotator": (6, (submitted(Said(14, 48, "21:26:14.441903", SAME, "1", 3.0)),)),
    "62_overlap2_second_annotator": (6, (submitted(Said(15, 48, "21:26:14.933061", DIFFERENT, "3", 3.0)),)),
    "63_overlap2_same_annotator_twice": (6, (submitted(Said(16, 48, "21:26:15.423828", UNSURE, "1", 3.0)),)),
    "68_slow_sink_annotation_create": (10, (A36, A36)),
    "69_slow_health_open_task": (10, (H, H, H)),
    "70_sink_500_annotation_create": (10, (A37, A37)),
    "71_ml_500_next": (10, (H,)),
    "72_ml_500_retrieve": (10, (H,)),
    "73_predict_fewer_results": (10, (H, S, P1079, P107, P108, P109)),
    "74_predict_two_results_for_many": (10, (H, S, P1079)),
    "75_predict_empty_results": (10, (H, S, P1079)),
    "76_predict_not_list": (10, (H, S, P110)),
    "77_predict_bad_choice": (10, (H, S, P110)),
    "78_predict_score_text": (10, (H, S, P110)),
    "79_predict_score_gt1": (10, (H, S, P110)),
    "80_predict_no_result_key": (10, (H, S, P110)),
    "81_predict_list_of_lists": (10, (H, S, P110)),
    "82_predict_result_empty_list": (10, (H, S, P110)),
    "83_predict_mv_missing": (10, (H, S, P110)),
    "84_ml_connect_basic_auth": (11, (H, S, H, S)),
    "85_basic_auth_annotation": (11, (submitted(Said(38, 115, "21:26:48.259814", SAME, seconds=3.0)),)),
    "86_basic_auth_train": (11, (TRAIN,)),
    "88_localfiles_storage_sync": (12, (NOTHING,)),
    "89_ml_connect_legacy_tokens_disabled": (45, (H, S, H, S)),
    "90_import_preannotated_from_fields": (45, (NOTHING,)),
    "93_dm_next_task_ordered_view": (45, (H, S, P180)),
}
