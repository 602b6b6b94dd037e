"""The command `ganduel`: training, whose options are Hydra's, and what there is to do with the runs that it leaves.

To add a command, add an entry to COMMANDS: its arguments, and a function that imports what it needs when it is called,
so that --help need not wait for torch.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args

from ganduel.errors import nearest
from ganduel.export.base import Format


class Parser(argparse.ArgumentParser):
    """argparse's parser, with errors on one line in the format of all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}. See {self.prog} --help.\n")


class Command(NamedTuple):
    """One subcommand: its help text, its arguments, and its function."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def main(words: Sequence[str] | None = None) -> None:
    """Run one command; a user error becomes one line and exit code 1."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["-sc"]:
        return complete(words)
    if words[:1] == ["train"]:
        return train(words[1:])
    arguments = parse(words)
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        fail("interrupted.", code=130)
    except Exception as error:
        from ganduel.run.explain import explain, trace

        print(trace(error), end="", file=sys.stderr)
        fail(explain(error) or "this is a fault of the program; please report it with the lines above.")


def train(words: Sequence[str]) -> None:
    """Run Hydra's main function, which reads the command line and answers errors itself."""
    from ganduel.run.main import main

    sys.argv[1:] = words
    main()


def complete(words: Sequence[str]) -> None:
    """Print what may follow the words typed so far; bash asks for it, set up by `ganduel train -sc install=bash`."""
    typed = os.environ.get("COMP_LINE", "").split(maxsplit=2)
    if len(typed) < 2 or (len(typed) == 2 and not os.environ["COMP_LINE"].endswith(" ")):
        print(*COMMANDS)
    elif typed[1] == "train":
        os.environ["COMP_LINE"] = " ".join(["ganduel", *typed[2:]])
        train(words)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print one line and exit."""
    from ganduel.run import app

    app.fail(message, code)
    raise AssertionError  # app.fail does not return


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The parsed command line, with the function to call as `run`."""
    parser = Parser(prog="ganduel", description="Train GANs, and work with their runs.")
    parser.add_argument("--version", action="version", version=f"ganduel {version('ganduel')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        parser.exit(2, f"error: {words[0]} is not a command. {nearest(words[0], COMMANDS)}\n")
    return parser.parse_args(words)


TRUST = (
    "build classes that are not ganduel's too, which runs their code, from this folder as well: see docs/security.md"
)
DEVICES = ("auto", "cpu", "cuda")
MOVED = "data.dir="  # as on the command line of train.py


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = ".png, a grid; .npz, one array `samples`, uint8 N×C×H×W for images and else float32; .gif, a walk"
    count = "how many samples, 64 by default; with --interpolate how many walks, 9"
    seed = "of the noise, 0 by default; the first samples of a seed are the same for every N"
    walks = "walk from one z to another: in a .png each row is a walk, in a .gif each tile"
    truncation = "more typical samples, less varied: the largest |z|, such as 1; of StyleGAN2 its psi, such as 0.7"
    parser.add_argument("path", metavar="PATH", type=Path, help="the folder of a run, or a checkpoint")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help=f"what to write: {kinds}")
    parser.add_argument("--n", metavar="N", type=int, help=count)
    parser.add_argument("--seed", metavar="SEED", type=int, default=0, help=seed)
    parser.add_argument("--class", dest="label", metavar="CLASS", help="the class of all samples, from 0 or by name")
    parser.add_argument("--truncation", metavar="T", type=float, help=truncation)
    parser.add_argument("--live", action="store_true", help="take G itself, not the average of its weights")
    parser.add_argument("--interpolate", action="store_true", help=walks)
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where G runs; z is the same everywhere")
    parser.add_argument("--trust", action="store_true", help=TRUST)


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    paths = f"folders of runs or of sweeps, or checkpoints; {MOVED}FOLDER says where their data are now"
    names = "such as frechet parzen; by default those of the runs' configs, or those that fit the data"
    draws = "repeat each so often, and state a standard error"
    parser.add_argument("paths", metavar="PATH", nargs="+", help=paths)
    parser.add_argument("--metrics", metavar="NAME", nargs="+", default=(), help=names)
    parser.add_argument(
        "--samples", metavar="N", type=int, help="how many each metric takes, instead of its own number"
    )
    parser.add_argument("--draws", metavar="N", type=int, default=1, help=draws)
    parser.add_argument("--live", action="store_true", help="take G itself, not the average of its weights")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where it is computed")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, with the protocols")
    parser.add_argument("--trust", action="store_true", help=TRUST)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    formats = "safetensors: for ganduel.load; hub: the same, for the Hugging Face hub; onnx; torchscript"
    parser.add_argument("path", metavar="PATH", type=Path, help="the folder of a run, or a checkpoint")
    parser.add_argument("--format", choices=get_args(Format), default="safetensors", help=formats)
    parser.add_argument(
        "-o", "--out", metavar="FOLDER", type=Path, required=True, help="the folder to write, a new one"
    )
    parser.add_argument("--live", action="store_true", help="take G itself, not the average of its weights")
    parser.add_argument("--push", metavar="USER/NAME", default="", help="with --format hub: upload the folder there")
    parser.add_argument("--trust", action="store_true", help=TRUST)


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    paths = "folders of runs or of sweeps, or patterns; whatever cannot be read is listed and left out"
    factor = "what is compared: a group or key of the config, such as loss, k or optimizer.generator.lr"
    metric = "the metric that decides, such as fd or fd/mnist_cnn_10k; by default the first of the usual ones"
    watch = "write the page again every SECONDS (30) until all runs have ended"
    wandb = "build the same view as a workspace of W&B's"
    parser.add_argument("paths", metavar="RUNS", nargs="+", help=paths)
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, help="the page to write, such as duel.html")
    parser.add_argument("--factor", metavar="NAME", help=factor)
    parser.add_argument("--metric", metavar="NAME", help=metric)
    parser.add_argument("--json", dest="as_json_text", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--watch", metavar="SECONDS", type=int, nargs="?", const=30, help=watch)
    parser.add_argument("--wandb", metavar="ENTITY/PROJECT", help=wandb)


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    paths = f"folders of runs or of sweeps, or patterns; {MOVED}FOLDER says where their data are now"
    parser.add_argument("paths", metavar="RUNS", nargs="+", help=paths)
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    parser.add_argument("--trust", action="store_true", help=TRUST)


def add_figure_arguments(parser: argparse.ArgumentParser) -> None:
    names = (
        "loss-forms: G's losses and slopes against D(G(z)), and where the samples of runs are; "
        "dirac: the paths of a Dirac-GAN's weights, from experiment=dirac"
    )
    parser.add_argument("name", metavar="NAME", choices=("loss-forms", "dirac"), help=names)
    parser.add_argument("paths", metavar="RUNS", nargs="*", help="folders of runs or of sweeps, or patterns")
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, required=True, help="a .png or .svg")
    parser.add_argument("--factor", metavar="NAME", help="what tells the runs apart, such as loss")


def add_benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", metavar="N", type=int, nargs="+", default=[64], help="batch sizes, 64 by default")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="blocks of every loop, 3 by default")
    parser.add_argument("--iterations", metavar="N", type=int, default=300, help="timed ones per block, 300 by default")
    parser.add_argument(
        "--population", metavar="TASK:N", nargs="*", default=["ring8:32"], help="of N members; ring8:32 by default"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it is computed")
    parser.add_argument("--out", metavar="FILE", type=Path, help="a JSON file for the results")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="a .png or .svg of the results")


def prepare(trust: bool = False) -> None:
    """Prepare for building the parts of a run; user modules are found as in train.py, if they are trusted."""
    if trust:
        sys.path.append(os.getcwd())
    logging.getLogger("hydra").addHandler(logging.NullHandler())  # its log of an error repeats the error


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {key: value for key, value in vars(arguments).items() if key != "run"}


def take_data_dir(arguments: argparse.Namespace) -> str | None:
    """The folder in the last data.dir=FOLDER among the paths, from which all of these are removed."""
    folders = [word.removeprefix(MOVED) for word in arguments.paths if word.startswith(MOVED)]
    arguments.paths = [word for word in arguments.paths if not word.startswith(MOVED)]
    return folders[-1] if folders else None


def sample(arguments: argparse.Namespace) -> None:
    prepare(arguments.trust)
    from ganduel.command.sample import sample

    print(sample(**options(arguments)))


def evaluate(arguments: argparse.Namespace) -> None:
    prepare(arguments.trust)
    from ganduel.command.evaluate import evaluate

    data_dir = take_data_dir(arguments)
    arguments.paths = [Path(word) for word in arguments.paths]
    evaluate(**options(arguments), data_dir=data_dir)


def export(arguments: argparse.Namespace) -> None:
    prepare(arguments.trust)
    from ganduel.export.export import export

    print(export(**options(arguments)))


def compare(arguments: argparse.Namespace) -> None:
    from ganduel.compare.command import compare

    compare(**options(arguments))


def doctor(arguments: argparse.Namespace) -> None:
    prepare(arguments.trust)
    from ganduel.command.doctor import doctor

    data_dir = take_data_dir(arguments)
    if not doctor(**options(arguments), data_dir=data_dir):
        sys.exit(1)


def figure(arguments: argparse.Namespace) -> None:
    prepare()
    from ganduel.command.figure import figure

    print(figure(**options(arguments)))


def benchmark(arguments: argparse.Namespace) -> None:
    from ganduel.command.benchmark import benchmark

    benchmark(**options(arguments))


COMMANDS = {
    "train": Command(
        "Train a GAN; options are those of Hydra: ganduel train --help.", lambda parser: None, lambda _: train(())
    ),
    "sample": Command("Draw samples from the generator of a run.", add_sample_arguments, sample),
    "export": Command("Write the generator of a run for elsewhere, with a card.", add_export_arguments, export),
    "compare": Command("Compare runs over seeds: an answer, and a page.", add_compare_arguments, compare),
    "evaluate": Command("Measure the generators of runs, beside the noise floor.", add_evaluate_arguments, evaluate),
    "doctor": Command("Say what is wrong with runs, and what to type.", add_doctor_arguments, doctor),
    "benchmark": Command("Time the training loop against others.", add_benchmark_arguments, benchmark),
    "figure": Command("Draw a figure of the loss forms, or of Dirac-GANs.", add_figure_arguments, figure),
}
