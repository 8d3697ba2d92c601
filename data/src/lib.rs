//! From a folder of pictures to batches of tensors: sources, data report, cleaning, leak-safe folds, a deterministic loader.
