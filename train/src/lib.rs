//! The training loop and its parts: optimizers, schedules, averaging, early stopping, checkpoints.
