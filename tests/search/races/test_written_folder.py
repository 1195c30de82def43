"""Scenarios of races are asked for beside the report, which is not lost where none can be written."""

from lab.search.races.written import write_races


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "found"
    assert write_races(folder, [], "lab races") == [f"no scenario is written into {folder}: Not a directory"]
