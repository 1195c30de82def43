"""A defect of the lab's own in the middle of a command: a sentence and status 3, unless something was found."""

from __future__ import annotations

import json

from helpers.lab_program import lab_each

SAID = "the lab could not do the check 'sharing', which is a defect of its own (KeyError: 'of the lab', "


def test_a_hunt_whose_checks_fail_is_inconclusive_and_finds_what_the_others_find():
    """At each level of a matrix, too; nowhere is there a traceback."""
    (hunt, told, failing, matrix) = lab_each(
        [
            ["hunt", "defective:CountedHere", "--executions", "5"],
            ["hunt", "defective:CountedHere", "--executions", "5", "--json"],
            ["hunt", "defective:LostHere", "--no-fresh"],
            ["matrix", "defective:CountedHere", "--executions", "3", "--json"],
        ]
    )
    assert [each[0] for each in (hunt, told, failing, matrix)] == [3, 3, 1, 3]
    assert not any("Traceback" in out + err for _, out, err in (hunt, told, failing, matrix))
    assert SAID in hunt[1]
    answer = json.loads(told[1])
    assert (answer["verdict"], answer["executions"]) == ("inconclusive", 5)
    (said,) = answer["not_checked"]
    assert said.startswith(SAID)
    assert SAID in failing[1]
    assert "LOST UPDATE" in failing[1]
    assert "the lab could not find out what could help, which is a defect of its own (KeyError" in failing[1]
    levels = json.loads(matrix[1])["levels"]
    assert "pass" not in {each["verdict"] for each in levels}
    assert all(len(each["not_checked"]) == 2 for each in levels)
