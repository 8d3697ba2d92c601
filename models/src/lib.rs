//! Image classification networks written as block programs, with trainable layers on candle.
