"""Small inputs that were judged wrongly once: what is right for each, and the test that holds it.

The inputs were found by trying; each test makes its own, of the whole kind. A case whose test is renamed
or taken away fails here.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES, CLOCKS = (
    "integration/ingest/test_odd_files.py",
    "integration/ingest/decoding/test_odd_clocks.py",
)
CONTAINERS = "integration/ingest/decoding/test_odd_containers.py"
BOUNDS, PEOPLE = "integration/ingest/test_bounds.py", "unit/ingest/faces/test_people.py"

#: What is handed in -> what is right -> where it is held.
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "movtext.mp4: a subtitle track": (
        "judged as without it",
        (f"{FILES}::test_subtitles_change_nothing",),
    ),
    "two.mov, two_faces.mkv: a small picture stream is number 0": (
        "the default, else the largest and longest is judged, the others named or judged on request",
        (
            f"{CLOCKS}::test_the_stream_that_players_show_is_taken_and_the_others_named",
            f"{FILES}::test_streams_beside_the_shown_one_are_named_and_judged_on_request",
        ),
    ),
    "dup.mkv: every sixth time repeats the one before": (
        "times as ffprobe has them, no drift",
        (f"{CLOCKS}::test_repeated_times_do_not_add_up",),
    ),
    "off.mp4: the picture begins at 3 s of the file's clock": (
        "an offset in the verdict, and a player that lands on the segment",
        (
            f"{CLOCKS}::test_a_start_on_the_files_clock_is_told_and_not_counted",
            "integration/console/web/test_player_in_browser.py::"
            "test_a_video_that_begins_late_on_its_own_clock_is_shown_at_the_verdicts",
        ),
    ),
    "hold.mp4: the last frame is shown for 8 s": (
        "the duration holds it",
        (f"{CLOCKS}::test_the_last_picture_lasts_as_long_as_it_is_told_to",),
    ),
    "vfr_rec.mp4: a minute with a face at half a frame per second, ten without at 60": (
        "judged",
        (f"{FILES}::test_a_face_for_most_of_the_time_is_judged_though_most_frames_show_none",),
    ),
    "trim.mp4, null.avi: cut by an edit list; frames of no bytes": (
        "no note",
        (
            f"{CLOCKS}::test_pictures_cut_by_an_edit_list_are_not_missed",
            f"{CLOCKS}::test_repeats_of_no_bytes_in_an_avi_are_not_missed",
        ),
    ),
    "rc.ts: 640x360, then 360x640": (
        "both upright, one face, a note",
        (
            f"{CLOCKS}::test_a_picture_that_is_turned_half_way_is_upright_in_both_halves",
            f"{FILES}::test_a_size_that_changes_is_one_person_in_one_picture",
        ),
    ),
    "comb_nasa.mp4: interlaced, and says so": (
        "deinterlaced",
        (f"{CLOCKS}::test_combs_of_two_fields_are_taken_apart",),
    ),
    "cat3.ts: the clock jumps back two hours at a joint": (
        "as long as it plays, judged, the joint noted",
        (
            f"{CLOCKS}::test_recordings_joined_with_different_clocks_go_on_one_frame_later",
            f"{FILES}::test_joints_are_said_once_and_are_no_damage",
        ),
    ),
    "a.webp: an animated WebP; APNG, AVIF, GIF alike": (
        "judged, or refused by its name",
        (
            f"{FILES}::test_an_animated_webp_is_called_by_its_name",
            f"{CONTAINERS}::test_number_time_and_picture_agree",
        ),
    ),
    "nomoov.mp4: the index was never written": (
        "says so, and advises nothing that cannot work",
        (f"{CLOCKS}::test_a_recording_without_an_index_is_told_apart_and_not_sent_to_be_remuxed",),
    ),
    "forged.mp4, forged_pixflip.mp4: a forgery and its mirror image": (
        "within .02 of each other",
        (
            "e2e/test_demo.py::test_the_shipped_weights_tell_the_two_clips_apart",
            "unit/ingest/faces/test_face_detectors.py::"
            "test_a_mirrored_frame_has_the_same_faces_mirrored",
        ),
    ),
    "gif_5900x5900x2000.gif: 46 kB, a huge canvas": (
        "refused at once, with a reason",
        (f"{FILES}::test_a_huge_gif_of_few_bytes_is_refused_at_once",),
    ),
    "long36k.mp4: 274 kB, 36,000 tiny frames": (
        "bounded by the policy",
        (
            f"{FILES}::test_every_frame_of_very_many_is_bounded_by_the_policy",
            f"{BOUNDS}::test_more_frames_than_are_allowed_are_looked_at_evenly",
        ),
    ),
    "a hard cut between two people at one place": (
        "two tracks, the second judged as when alone",
        (
            f"{PEOPLE}::test_no_track_spans_a_cut_between_two_people_at_one_place",
            "unit/workers/verdicts/test_segments.py::"
            "test_of_two_people_at_one_place_the_forged_one_is_judged_as_when_alone",
            "e2e/test_scan_shared_data.py::"
            "test_a_forgery_behind_a_hard_cut_from_somebody_real_is_found_as_when_alone",
        ),
    ),
    "4 s forged in 590 s real": (
        "found, with its segment",
        (
            "unit/workers/verdicts/test_segments.py::"
            "test_a_forged_stretch_within_one_shot_of_the_same_face_is_found",
            "e2e/test_scan_shared_data.py::"
            "test_four_forged_seconds_inside_the_very_same_footage_are_found",
        ),
    ),
    "turned by 90 or 180 degrees, in the pixels or by a tag": (
        "as upright, or inconclusive with the reason",
        (
            f"{FILES}::test_a_video_turned_in_its_pixels_gives_the_crops_of_the_upright_one",
            f"{FILES}::test_a_tag_that_lays_an_upright_picture_on_its_side_changes_no_crop",
            f"{FILES}::test_a_face_that_cannot_be_told_upright_is_said_so",
        ),
    ),
    "a file name with the byte 0xFF": (
        "judged",
        (f"{FILES}::test_a_name_of_any_bytes_is_only_a_name",),
    ),
    "a face and its mirror image through SOLA": (
        "the map mirrors too",
        (
            "integration/workers/scoring/test_mirrored_maps.py::"
            "test_a_face_and_its_mirror_image_have_one_score_and_maps_that_mirror",
        ),
    ),
    "1.3 s of a crowd": (
        "bounded",
        (
            f"{FILES}::test_of_a_crowd_so_many_are_cropped_and_the_others_counted",
            f"{BOUNDS}::"
            "test_a_crowd_costs_no_more_faces_than_the_policy_allows_and_the_rest_are_counted",
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_judged_wrongly_once_is_held_by_a_test(case: str) -> None:
    right, held_by = CASES[case]
    assert right and held_by
    for place in held_by:
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in names, f"{case}: {place} is gone"
