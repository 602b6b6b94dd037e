"""docs/notebook.ipynb: as it was executed, and that it still can be."""

import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def test_it_is_committed_as_executed_and_small():
    cells = [cell for cell in json.loads(PATH.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"display_data", "execute_result"}
    assert sum("image/png" in output["data"] for output in outputs) == 4
    assert PATH.stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own connection
def test_it_runs(tmp_path: Path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(PATH, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    assert sum("image/png" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", [])) == 4
