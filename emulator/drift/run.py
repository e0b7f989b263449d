"""Comparison of a real service with an emulator: send samples to both, and compare the responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.drift.comparison import Difference, differences
from emulator.drift.correction import Correction, Corrector
from emulator.drift.exchange import Side, play
from emulator.drift.mask import Mask
from emulator.drift.samples import Sample, Step


@dataclass(frozen=True)
class Finding:
    """A difference between the two services, the request that showed it, and how to correct it."""

    sample: str
    step: int
    request: str
    difference: Difference
    correction: Correction


@dataclass(frozen=True)
class Compared:
    """The result of a sample that was sent to the real service and to the emulator.

    Attributes
    ----------
    name : str
        Name of the sample.
    findings : tuple of Finding
        The differences. ``expected`` is from the real service, ``found`` from the emulator. Both are masked.
    calls : int
        Number of requests to the real service.
    recorded : Sample or None
        The sample with the masked responses of the real service; None if some requests were not sent.
    """

    name: str
    findings: tuple[Finding, ...]
    calls: int
    recorded: Sample | None


def compare(
    samples: Mapping[str, Sample], real: Side, emulated: Side, corrector: Corrector
) -> Iterator[Compared]:
    """Send each sample to both services, and yield its result.

    Raises
    ------
    NoResponse
        If a service cannot be reached or does not answer.
    """
    secrets = tuple(real.credential.values()) if real.credential else ()
    for name, sample in samples.items():
        theirs, ours = play(sample, real), play(sample, emulated)
        masks = [Mask(secrets, step.varies) for step in sample.steps]
        expected = [mask.answer(answer) for mask, answer in zip(masks, theirs.answers, strict=False)]
        findings = []
        for number, (step, answer, own) in enumerate(zip(sample.steps, expected, ours.answers, strict=False)):
            for difference in differences(answer, own):
                shown = masks[number].difference(difference, own["status"])
                findings.append(
                    Finding(
                        name, number, _called(step), shown, corrector.correct(difference, step, answer, own)
                    )
                )
        if theirs.stopped != ours.stopped:
            number = min(len(theirs.answers), len(ours.answers)) - 1
            step = sample.steps[number]
            end = Difference("end", "", theirs.stopped or "continues", ours.stopped or "continues")
            findings.append(
                Finding(name, number, _called(step), end, Correction("see the differences above"))
            )
        yield Compared(name, tuple(findings), theirs.calls, _recorded(sample, expected))


def _called(step: Step) -> str:
    return f"{step.request.method} {step.request.path}"


def _recorded(sample: Sample, answers: list[dict[str, Any]]) -> Sample | None:
    if len(answers) < len(sample.steps):
        return None
    steps = [
        step.model_copy(update={"response": answer})
        for step, answer in zip(sample.steps, answers, strict=True)
    ]
    return sample.model_copy(update={"steps": steps})
