"""How weights are trained, and how a run is kept.

``loop`` trains any model; ``checkpoints`` saves and loads models; ``resume`` keeps a run that may
be interrupted; ``distributed`` shares a step among several processes; ``hardware`` tells what the
machine can do.
"""

from gen_lib.training.loop import (
    History,
    NonFiniteLoss,
    Record,
    TrainingData,
    TrainState,
    fit,
    training_steps,
)

__all__ = [
    "History",
    "NonFiniteLoss",
    "Record",
    "TrainState",
    "TrainingData",
    "fit",
    "training_steps",
]
