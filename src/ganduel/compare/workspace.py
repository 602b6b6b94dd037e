"""The comparison's view in W&B: a workspace in which each level of the factor is one line with its spread.

Built by wandb-workspaces, an extra; building needs no network, saving an account. The panels are those of the page; W&B
has no intervals over seeds, so that bands are standard errors of the mean.
"""

from typing import Any
from unicodedata import category

from ganduel.compare.analysis import Report
from ganduel.compare.pairing import choices
from ganduel.errors import UserError

SECTIONS = {
    "Losses": ("loss/d", "loss/g"),
    "D(x) and D(G(z))": ("d/real", "d/fake", "d/fake_g"),
    "Gradients": ("grad/norm_d", "grad/norm_g"),
    "Saturation": (
        "saturation/slope_saturating",
        "saturation/slope_nonsaturating",
        "saturation/ratio",
        "saturation/share_rejected",
        "saturation/grad_norm_saturating",
        "saturation/grad_norm_nonsaturating",
    ),
}


def workspace(report: Report, place: str) -> Any:
    """The workspace, not yet saved.

    Args:
        report: the comparison.
        place: ENTITY/PROJECT.

    Raises:
        UserError: the place is none, or wandb-workspaces is missing.
    """
    entity, slash, project = place.partition("/")
    if not (entity and slash and project) or "/" in project:
        raise UserError(f"--wandb {place} is not ENTITY/PROJECT, such as --wandb me/ganduel.")
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise UserError("--wandb takes wandb-workspaces: pip install 'ganduel[workspaces]'.") from error
    by = config_key(report)

    def lines(key: str) -> Any:
        return panels.LinePlot(
            title=key,
            x="images_seen",
            y=[key],
            groupby=panels.Config(by),
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
            aggregate=True,
            max_runs_to_show=100,
        )

    known = {key for cell in report.cells for run in cell.runs.values() for key in run.curves}
    bars: list[Any] = [
        panels.BarPlot(title=key, metrics=[panels.SummaryMetric(key)], groupby=panels.Config(by), orientation="v")
        for key in report.metrics
    ]
    sections = [ws.Section("Metrics of samples", panels=bars, is_open=True)] if bars else []
    for heading, keys in SECTIONS.items():
        found = [lines(key) for key in keys if key in known]
        if found:
            sections.append(ws.Section(heading, panels=found, is_open=True))
    grids = panels.MediaBrowser(media_keys=["samples/fake"], num_columns=len(report.design.levels))
    sections.append(ws.Section("Samples", panels=[grids], is_open=True))
    ids = [str(run.config["run"].get("id")) for cell in report.cells for run in cell.runs.values()]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name(report),
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis="images_seen", max_runs=100),
        runset_settings=ws.RunsetSettings(filters=f"Metric('ID') in {ids}", groupby=[ws.Config(by)]),
    )


def name(report: Report) -> str:
    """What is compared, without the symbols that W&B takes for emojis, "=" among them."""
    words = f"{report.design.factor}: {' against '.join(report.design.levels)}"
    return "".join(" " if category(letter)[0] == "S" or category(letter) == "Cs" else letter for letter in words)[:128]


def config_key(report: Report) -> str:
    """The factor as a key of W&B's config: of a group the choice, which runs keep there."""
    factor = report.design.factor
    some = next(run for cell in report.cells for run in cell.runs.values())
    return f"run.choices.{factor}" if factor in choices(some) else factor


def save_workspace(report: Report, place: str) -> str:
    """Build and save the workspace; returns its address.

    Raises:
        UserError: there is no key, or W&B refuses.
    """
    import wandb

    from ganduel.tracking.wandb_session import brief, has_key, resolve_mode

    built = workspace(report, place)
    resolve_mode(wandb)
    try:
        if not has_key(wandb):
            raise UserError("--wandb takes an API key, and there is none. wandb login takes one.")
        built.save()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"W&B does not take the workspace: {brief(error)}") from error
    return built.url
