//! A pretrained tensor in the shape that a network wants.

use super::Input;
use crate::backbones::{inflate, resampled};
use candle_core::{Result, Tensor};

/// Channels of the pictures that pretrained networks saw.
const SEEN: usize = 3;

/// What became of a tensor.
pub(super) enum Fit {
    /// It is what the network wants.
    Same(Tensor),
    /// It was made so; what was done.
    Adapted(Tensor, String),
    /// It cannot be made so.
    Other,
}

/// `have` for a variable of shape `want` of a network that reads `channels` channels; `have` is in a type of floats.
pub(super) fn fit(have: Tensor, want: &[usize], channels: usize, input: Input) -> Result<Fit> {
    if have.dims() == want {
        return Ok(Fit::Same(have));
    }
    let (mut now, mut steps) = (have, vec![]);
    if now.rank() >= 4 && want.len() >= 4 && now.dim(1)? == SEEN && want[1] == channels && channels != SEEN {
        now = reads(&now, channels, input)?;
        steps.push(format!("reads {channels} channels in place of {SEEN}"));
    }
    if now.rank() == 4 && want.len() == 5 {
        let depth = want[2];
        now = inflate(&now, depth)?;
        steps.push(format!("repeated over {depth} slices"));
    }
    if now.rank() != want.len()
        && now.dim(0).ok() == want.first().copied()
        && now.elem_count() == want.iter().product::<usize>()
    {
        now = now.reshape(want)?;
        steps.push("reshaped".to_string());
    }
    if let ([1, old, _], [1, new, _]) = (now.dims(), want)
        && let Some((old, new, prefix)) = squares(*old, *new)
    {
        now = resized(&now, prefix, old, new)?;
        steps.push(format!("positions of {old}×{old} patches resized to {new}×{new}"));
    }
    Ok(if now.dims() == want { Fit::Adapted(now, steps.join(", ")) } else { Fit::Other })
}

/// The first convolution for pictures of `channels` channels.
fn reads(weight: &Tensor, channels: usize, input: Input) -> Result<Tensor> {
    let share = SEEN as f64 / channels as f64;
    match input {
        Input::Repeat if channels == 1 => weight.sum_keepdim(1),
        Input::Repeat => {
            let copies = vec![weight; channels.div_ceil(SEEN)];
            Tensor::cat(&copies, 1)?.narrow(1, 0, channels)? * share
        }
        Input::Mean => Tensor::cat(&vec![weight.mean_keepdim(1)?; channels], 1)? * share,
        Input::Rgby => {
            let yellow = ((weight.narrow(1, 0, 1)? + weight.narrow(1, 2, 1)?)? / 2.0)?;
            Tensor::cat(&[weight, &yellow], 1)
        }
    }
}

/// Sides of the squares of patches, and the tokens in front of them, where there are as many `old` and `new` ones.
fn squares(old: usize, new: usize) -> Option<(usize, usize, usize)> {
    let side = |count: usize| (1..=count.isqrt()).last().filter(|side| side * side == count);
    // None, a class, a class and a distillation token, a class and four registers.
    [0, 1, 2, 5].into_iter().find_map(|p| Some((side(old.checked_sub(p)?)?, side(new.checked_sub(p)?)?, p)))
}

/// Position embeddings `[1, prefix + old², C]` for `new × new` patches: bicubic and antialiased, timm's
/// `resample_abs_pos_embed`.
fn resized(positions: &Tensor, prefix: usize, old: usize, new: usize) -> Result<Tensor> {
    let patches = positions.narrow(1, prefix, old * old)?.squeeze(0)?.contiguous()?;
    let patches = resampled(&patches, old, (new, new))?.unsqueeze(0)?;
    Tensor::cat(&[positions.narrow(1, 0, prefix)?, patches], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn adapted(have: &[f32], shape: &[usize], want: &[usize], channels: usize, input: Input) -> Vec<f32> {
        let have = Tensor::from_slice(have, shape, &Device::Cpu).unwrap();
        match fit(have, want, channels, input).unwrap() {
            Fit::Adapted(tensor, _) => values(&tensor),
            _ => panic!("not adapted"),
        }
    }

    /// timm's `adapt_input_conv`, and the rules for more channels.
    #[test]
    fn the_first_convolution_reads_any_number_of_channels() {
        let rgb = |channels, input| adapted(&[1.0, 2.0, 6.0], &[1, 3, 1, 1], &[1, channels, 1, 1], channels, input);
        assert_eq!(rgb(1, Input::Repeat), [9.0]);
        assert_eq!(rgb(6, Input::Repeat), [0.5, 1.0, 3.0, 0.5, 1.0, 3.0]);
        assert_eq!(rgb(4, Input::Repeat), [0.75, 1.5, 4.5, 0.75]);
        assert_eq!(rgb(1, Input::Mean), [9.0]);
        assert_eq!(rgb(4, Input::Mean), [2.25; 4]);
        assert_eq!(rgb(4, Input::Rgby), [1.0, 2.0, 6.0, 3.5]);
    }

    #[test]
    fn flat_kernels_become_deep_and_linear_layers_convolutions() {
        let flat = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(adapted(&flat, &[2, 3, 1, 1], &[2, 3, 2, 1, 1], 3, Input::Repeat)[..4], [0.5, 0.5, 1.0, 1.0]);
        assert_eq!(adapted(&flat, &[2, 3, 1, 1], &[2, 1, 2, 1, 1], 1, Input::Repeat), [3.0, 3.0, 7.5, 7.5]);
        assert_eq!(adapted(&flat, &[2, 3], &[2, 3, 1, 1], 3, Input::Repeat), flat);
        assert_eq!(adapted(&flat, &[6, 1, 1], &[6], 3, Input::Repeat), flat);
    }

    /// `torch.nn.functional.interpolate(.., mode="bicubic", antialias=True)` of 0, 1, 4, 9, .. (`xtask/fixtures/pretrained.py`).
    #[test]
    fn positions_are_resized_as_timm_does() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/positions.json")).unwrap();
        for (new, want) in golden.as_object().unwrap() {
            let new: usize = new.parse().unwrap();
            let have: Vec<f32> = (0..17 * 2).map(|i| (i * i % 23) as f32).collect();
            let ours = adapted(&have, &[1, 17, 2], &[1, 1 + new * new, 2], 3, Input::Repeat);
            let want: Vec<f64> = want.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            assert_eq!(ours.len(), want.len());
            for (a, b) in ours.iter().zip(&want) {
                assert!((f64::from(*a) - b).abs() < 1e-4, "{new}: {ours:?} {want:?}");
            }
        }
    }
}
