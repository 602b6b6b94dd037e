"""Words of the command line that make a run of any kind take a second or two."""

NETWORKS = ("model.generator.noise_dim=4", "model.generator.hidden=[16]", "model.discriminator.hidden=[16]")
EVALUATION = ("metric=[frechet]", "metric.frechet.samples=200")
SMALL = (*NETWORKS, "batch_size=8", "trainer.accelerator=cpu", "checkpoint_seconds=0")
