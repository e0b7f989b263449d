"""A reader of the Dockerfile."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Instruction:
    """An instruction, such as ``RUN``, with the text after it. Continued lines are joined."""

    name: str
    text: str

    @property
    def items(self) -> list[str]:
        """The members of the JSON list at the end of the text."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found

    @property
    def pairs(self) -> dict[str, str]:
        """The pairs ``name=value`` of the text."""
        return dict(pair.split("=", 1) for pair in shlex.split(self.text))


def instructions() -> list[Instruction]:
    """Return the instructions of the Dockerfile."""
    lines = [
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    return [
        Instruction(found["name"], found["text"])
        for found in re.finditer(r"^(?P<name>[A-Z]+) +(?P<text>.+)$", text, re.MULTILINE)
    ]


def final_stage() -> list[Instruction]:
    """Return the instructions of the last stage, without its ``FROM``."""
    found = instructions()
    start = max(number for number, instruction in enumerate(found) if instruction.name == "FROM")
    return found[start + 1 :]


def final(name: str) -> Instruction:
    """Return the only instruction of the last stage with this name."""
    (instruction,) = (each for each in final_stage() if each.name == name)
    return instruction
