"""The textbook's pages quote the code as it is, and give the slopes that the losses have; both quote the same."""

import re
import shlex
from pathlib import Path
from textwrap import indent

import pytest
import torch

from ganduel.cli import parse
from ganduel.loss.base import CrossEntropyLoss
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating

DOCS = Path(__file__).parents[1] / "docs"
ENGLISH, CHINESE = ((DOCS / name).read_text(encoding="utf-8") for name in ("textbook.md", "textbook.zh.md"))
QUOTES = re.findall(r"\]\((\.\./src/[\w./]+)\)[^\n]*\n\n```python\n(.*?)```", ENGLISH, re.DOTALL)
COMMANDS = re.findall(r"(?m)^(?:python|ganduel) .*$", ENGLISH)


def test_quoted_lines_are_in_the_files():
    assert len(QUOTES) == ENGLISH.count("```python")
    for path, lines in QUOTES:
        text = (DOCS / path).read_text(encoding="utf-8")
        assert any(indent(lines, " " * depth) in text for depth in range(0, 16, 4)), f"{path} has no longer\n{lines}"


@pytest.mark.parametrize("what", [r"```.*?```", r"\]\(pictures/.*?\)", r"\]\(\.\./.*?\)", r"(?m)^\| −?\d .*$"])
def test_both_languages_show_the_same(what: str):
    """Code, formulas and commands; pictures; links to files; the table of slopes."""
    english = re.findall(what, ENGLISH, re.DOTALL if "```" in what else 0)
    assert english
    assert english == re.findall(what, CHINESE, re.DOTALL if "```" in what else 0)


def test_slopes_are_those_of_the_losses():
    rows = re.findall(r"(?m)^\| (−?\d) \| (.*) \|$", ENGLISH)
    assert len(rows) == 5
    for b, cells in rows:
        values = [float(cell.replace("−", "-")) for cell in cells.split(" | ")]
        logit = float(b.replace("−", "-"))
        d = torch.tensor(logit).sigmoid().item()
        assert values[0] == pytest.approx(d, abs=5e-4)
        slopes = [slope_in(form, logit) for form in (Saturating(), NonSaturating())]
        assert values[1:] == pytest.approx([value for pair in slopes for value in pair], abs=5e-4)


def slope_in(form: CrossEntropyLoss, logit: float) -> tuple[float, float]:
    """The slope of G's loss in D(G(z)) and in D's logit."""
    d = torch.tensor(logit, dtype=torch.float64).sigmoid().requires_grad_()
    (in_d,) = torch.autograd.grad(form.g_fake(d.logit()), d)
    return in_d.item(), form.curve(torch.tensor(logit, dtype=torch.float64))[1].item()


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_there_is(compose, line: str):
    program, *words = shlex.split(line)
    if program == "ganduel":
        assert parse(words).out.suffix == ".png"
    else:
        words = [word for word in words[1:] if word != "-m" and not word.startswith("hydra.")]
        assert compose(*words)["trainer"]["max_steps"] > 0
