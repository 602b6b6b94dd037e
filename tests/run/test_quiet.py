"""Lightning's warnings: which are silenced, and that the others are not."""

import warnings

from ganduel.run.quiet import quiet


def test_what_lightning_warns_of_is_shown_unless_it_is_meant():
    """All warnings of Lightning's were silenced, such as that of another precision than was asked for."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        quiet()
        for text, category in (
            ("Using `precision='bf16-mixed'` instead", UserWarning),
            ("Found 3 module(s) in eval mode at the start of training.", UserWarning),
            ("GPU available but not used.", UserWarning),
            ("a function of torch's is deprecated", FutureWarning),
        ):
            warnings.warn_explicit(text, category, "trainer.py", 1, "lightning.pytorch.trainer")
    assert [str(warning.message) for warning in seen] == ["Using `precision='bf16-mixed'` instead"]
