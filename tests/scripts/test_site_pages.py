"""What the site is built from."""

import pytest
from script_modules import SCRIPTS, imported

pytest.importorskip("latex2mathml")


def test_links_to_sources_lead_to_their_pages_and_formulas_become_mathml():
    with imported("site_pages") as site_pages:
        text = site_pages.page(
            "[gan](../src/gan.py) [zoo](zoo.md#losses) [out](https://example.org/x.py)\n\n```math\nx^2\n```\n"
        )
        assert text.startswith("[gan](../src/gan.py.md) [zoo](zoo.md#losses) [out](https://example.org/x.py)\n\n<math ")
        assert "<msup>" in text
        assert "```" not in text


def test_the_pages_bring_what_they_link_to():
    root = SCRIPTS.parent
    with imported("site_pages") as site_pages:
        paths = {path.relative_to(root).as_posix() for path in site_pages.linked([root / "README.md"])}
    assert {"src/ganduel/gan.py", "docs/zoo.md", "benchmarks/README.md", "docs/pictures/duel.png"} <= paths
