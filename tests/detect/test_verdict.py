"""A verdict as a row: every field, ready for JSON."""

import json
from dataclasses import fields

from cameraborn.detect.verdict import ChannelVerdict, Verdict

VERDICT = Verdict(
    path="a.jpg",
    face=0,
    box=(1.0, 2.0, 3.0, 4.0),
    width=10,
    height=20,
    score=1.5,
    p_value=0.02,
    flagged=True,
    scope="ok",
    error=None,
    bundle="b",
    evidence={"photographs": ChannelVerdict(1.5, 0.02), "other": ChannelVerdict(0.5)},
    decided_by="photographs",
    notes=("first", "second"),
)


def test_a_mapping_has_every_field_in_order_and_is_json():
    mapping = VERDICT.to_mapping()
    assert list(mapping) == [field.name for field in fields(Verdict)]
    read = json.loads(json.dumps(mapping))
    assert read["box"] == [1.0, 2.0, 3.0, 4.0]
    assert read["notes"] == "first; second"
    assert read["evidence"]["photographs"] == {"surprise": 1.5, "p_value": 0.02}
    assert read["evidence"]["other"] == {"surprise": 0.5, "p_value": None}


def test_verdicts_are_values():
    again = Verdict(**{field.name: getattr(VERDICT, field.name) for field in fields(Verdict)})
    assert again == VERDICT
    assert hash(again) == hash(VERDICT)
