"""Measures of generated samples as pure functions of tensors: one file per idea, with its formula and source."""

from ganduel.metric.functional.divergence import Grid, grid, jensen_shannon, optimal_discriminator
from ganduel.metric.functional.frechet import frechet_distance
from ganduel.metric.functional.kernel import kernel_distance
from ganduel.metric.functional.memorisation import Memorisation, memorisation
from ganduel.metric.functional.modes import ClassCoverage, ModeCoverage, class_coverage, mode_coverage
from ganduel.metric.functional.neighbours import (
    DensityCoverage,
    Neighbourhood,
    PrecisionRecall,
    density_coverage,
    neighbourhood,
    precision_recall,
)
from ganduel.metric.functional.parzen import SIGMAS, choose_sigma, parzen_log_likelihood

__all__ = [
    "SIGMAS",
    "ClassCoverage",
    "DensityCoverage",
    "Grid",
    "Memorisation",
    "ModeCoverage",
    "Neighbourhood",
    "PrecisionRecall",
    "choose_sigma",
    "class_coverage",
    "density_coverage",
    "frechet_distance",
    "grid",
    "jensen_shannon",
    "kernel_distance",
    "memorisation",
    "mode_coverage",
    "neighbourhood",
    "optimal_discriminator",
    "parzen_log_likelihood",
    "precision_recall",
]
