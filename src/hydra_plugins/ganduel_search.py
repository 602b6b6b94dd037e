"""Where Hydra looks for sweepers: `hydra/sweeper=search` is ganduel.run.search."""

from ganduel.run import search


class Search(search.Search):
    """The sweeper under the only name that Hydra takes."""
