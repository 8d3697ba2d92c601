//! Scores, out-of-fold predictions, blends and checked submissions.
