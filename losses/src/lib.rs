//! What training minimizes: losses from logits and targets to one number per sample.
