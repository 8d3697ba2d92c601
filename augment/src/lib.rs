//! Random changes of pictures and batches, each a pure function of its parameters and a random stream.
