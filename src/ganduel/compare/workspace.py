"""A W&B workspace of the comparison, in which each level of the factor is one line with a band.

Built by wandb-workspaces, an optional dependency; building needs no network, saving needs an account. The panels are
those of the page. W&B has no intervals over seeds, so that bands are standard errors of the mean.
"""

from typing import Any
from unicodedata import category

from ganduel.compare.analysis import Report
from ganduel.compare.labels import choices
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


def workspace(report: Report, destination: str) -> Any:
    """The workspace, not yet saved.

    Args:
        report: the comparison.
        destination: ENTITY/PROJECT.

    Raises:
        UserError: the destination has another form, or wandb-workspaces is missing.
    """
    entity, slash, project = destination.partition("/")
    if not (entity and slash and project) or "/" in project:
        raise UserError(f"--wandb {destination} is not ENTITY/PROJECT, such as --wandb me/ganduel.")
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise UserError("--wandb needs wandb-workspaces: pip install 'ganduel[workspaces]'.") from error
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
    sections = [ws.Section("Sample metrics", panels=bars, is_open=True)] if bars else []
    for heading, keys in SECTIONS.items():
        plots = [lines(key) for key in keys if key in known]
        if plots:
            sections.append(ws.Section(heading, panels=plots, is_open=True))
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
    """What is compared, without symbols such as "=", which W&B takes for emojis."""
    text = f"{report.design.factor}: {' against '.join(report.design.levels)}"
    return "".join(" " if category(letter)[0] == "S" or category(letter) == "Cs" else letter for letter in text)[:128]


def config_key(report: Report) -> str:
    """The factor as a key of W&B's config: for a group its choice, which is logged under `run`."""
    factor = report.design.factor
    first_run = next(run for cell in report.cells for run in cell.runs.values())
    return f"run.choices.{factor}" if factor in choices(first_run) else factor


def save_workspace(report: Report, destination: str) -> str:
    """Build and save the workspace; returns its URL.

    Raises:
        UserError: there is no API key, or W&B rejects the workspace.
    """
    import wandb

    from ganduel.tracking.wandb_session import brief, has_key, resolve_mode

    new_workspace = workspace(report, destination)
    resolve_mode(wandb)
    try:
        if not has_key(wandb):
            raise UserError("--wandb needs an API key, and there is none. wandb login takes one.")
        new_workspace.save()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"W&B rejected the workspace: {brief(error)}") from error
    return new_workspace.url
