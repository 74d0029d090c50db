"""Training of any model, and the files of a run.

``loop`` trains any model; ``resume`` holds the state of a run and its checkpoints, from which an
interrupted run continues; ``checkpoints`` saves and loads trained models; ``distributed`` shares a
step among several processes; ``hardware`` describes the machine.
"""

from gen_lib.training.loop import NonFiniteLoss, TrainingData, fit, training_steps
from gen_lib.training.resume import History, Record, TrainState

__all__ = [
    "History",
    "NonFiniteLoss",
    "Record",
    "TrainState",
    "TrainingData",
    "fit",
    "training_steps",
]
