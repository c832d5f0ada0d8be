"""What is wrong with what people wrote, in its own words."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cameraborn.data.invalid import first_problem


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Small(Section):
    type: Literal["small"] = "small"
    width: int = 1


class Large(Section):
    type: Literal["large"] = "large"
    height: int = 1


class Whole(Section):
    name: str
    network: Annotated[Small | Large, Field(discriminator="type")] = Small()
    parts: tuple[Small, ...] = ()
    perhaps: Large | None = None

    @field_validator("name")
    @classmethod
    def _is_no_joke(cls, name: str) -> str:
        if name == "joke":
            raise ValueError("a joke: give another")
        return name


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "name: missing: give it"),
        ({"nmae": "a"}, "no key is called 'nmae': did you mean 'name'?"),
        ({"name": "joke"}, "name: a joke: give another"),
        ({"name": 3}, "name: Input should be a valid string"),
        (3, "whole: Input should be a valid dictionary"),
        (
            {"network": {"type": "large", "heigth": 2}},
            "network: no key is called 'heigth': did you mean 'height'?",
        ),
        (
            {"network": {"type": "small", "height": 2}},
            "network: no key is called 'height': choose from type, width",
        ),
        ({"parts": [{}, {"widht": 2}]}, "parts.1: no key is called 'widht': did you mean 'width'?"),
        ({"perhaps": {"heigth": 2}}, "perhaps: no key is called 'heigth': did you mean 'height'?"),
        (
            {"name": "a", "network": {"type": "small", "width": "x"}},
            "network.width: Input should be a valid integer",
        ),
    ],
    ids=str,
)
def test_the_first_problem_is_named_with_its_place(fields, says):
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(fields)
    said = first_problem(caught.value, Whole, "whole")
    assert said.startswith(says)
    assert "\n" not in said
