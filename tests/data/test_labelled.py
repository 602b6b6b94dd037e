"""Samples and their classes stay together."""

import torch

from ganduel.data.labelled import LabelledSamples


def test_batches_have_the_classes_of_their_rows():
    batches = list(LabelledSamples(torch.arange(7), torch.arange(7) + 10).split(3))
    assert [batch.labels.tolist() for batch in batches] == [[10, 11, 12], [13, 14, 15], [16]]
    assert [len(batch) for batch in LabelledSamples(torch.arange(4), None).split(2)] == [2, 2]
