//! A finished run as the teacher of another one (Hinton et al. 2015): each fold listens to the teacher's network of the same
//! fold, which has not seen the rows that judge it either.

use crate::criterion::Said;
use crate::prepare::Prepared;
use crate::saved::{Saved, Trained};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use data::Stats;
use eval::Run;
use models::Pass;
use std::path::Path;

/// The network of one fold of a finished run, in evaluation.
pub struct Teacher {
    trained: Trained,
    /// From the student's normalized pictures to the teacher's, `[1, C, 1, 1]` each.
    scale: Tensor,
    shift: Tensor,
}

impl Teacher {
    /// Fold `fold` of the run in `folder`, for pictures that are prepared as `student` says.
    pub fn open(folder: &Path, fold: usize, student: &Saved, prepared: &Prepared, device: &Device) -> Result<Self> {
        let run = Run::open(folder).with_context(|| format!("loss.teacher: '{}'", folder.display()))?;
        prepared.has_folds_of(&run).context("loss.teacher")?;
        let saved = Saved::read(&run, fold)?;
        let (ours, theirs) = (&student.network, &saved.network);
        let same = ours.channels == theirs.channels && ours.views == theirs.views && student.classes == saved.classes;
        let same_meta =
            theirs.meta == 0 || serde_json::to_value(&student.encoder)? == serde_json::to_value(&saved.encoder)?;
        if !same || !same_meta || !models::heads::says_classes(&theirs.head) {
            bail!(
                "loss.teacher: '{}' has other classes, channels, pictures of a sample or columns, or another kind of head",
                folder.display()
            );
        }
        let before = |saved: &Saved| saved.steps[..saved.steps.len().saturating_sub(1)].to_vec();
        if student.color != saved.color || before(student) != before(&saved) || student.normalize != saved.normalize {
            bail!(
                "loss.teacher: '{}' sees pictures of other colors, or prepared or normalized in another way; take its data.color, \
                 preprocess.steps and preprocess.stats",
                folder.display()
            );
        }
        let (scale, shift) = between(&student.stats, &saved.stats, device)?;
        Ok(Self { trained: saved.load(&run, fold, device)?, scale, shift })
    }

    /// What it says of the student's pictures.
    pub fn say(&self, images: &Tensor, meta: Option<&Tensor>) -> candle_core::Result<Said> {
        let network = &self.trained.network;
        let mut pass = Pass::eval();
        // Channels are the third axis from the end, or the fourth of volumes.
        let axis = if network.rank() == 5 { 4 } else { 3 };
        let dims: Vec<usize> =
            (0..images.rank()).map(|i| if i + axis == images.rank() { self.scale.elem_count() } else { 1 }).collect();
        let images = images.to_dtype(DType::F32)?.broadcast_mul(&self.scale.reshape(&dims[..])?)?;
        let images = images.broadcast_add(&self.shift.reshape(&dims[..])?)?;
        let embedding = network.embed(&network.features(&images, &mut pass)?, &mut pass)?;
        let logits = network.classify(&embedding, meta, &mut pass)?;
        Ok(Said { logits: logits.detach(), embedding: embedding.detach(), auxiliary: vec![] })
    }
}

/// `(v − m)/s` of one normalization from that of another: a scale and a shift for each channel.
fn between(from: &Stats, to: &Stats, device: &Device) -> Result<(Tensor, Tensor)> {
    let channels = || from.std.iter().zip(&to.std).zip(from.mean.iter().zip(&to.mean));
    let scale: Vec<f32> = channels().map(|((from, to), _)| from / to).collect();
    let shift: Vec<f32> = channels().map(|((_, to), (ours, theirs))| (ours - theirs) / to).collect();
    Ok((Tensor::new(scale, device)?, Tensor::new(shift, device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_normalized_anew() {
        let stats = |mean: f32, std: f32| Stats { mean: vec![mean; 2], std: vec![std; 2] };
        let (scale, shift) = between(&stats(0.5, 0.2), &stats(0.3, 0.4), &Device::Cpu).unwrap();
        let (scale, shift) = (scale.to_vec1::<f32>().unwrap()[0], shift.to_vec1::<f32>().unwrap()[1]);
        let (v, student) = (0.9f32, (0.9f32 - 0.5) / 0.2);
        assert!((student * scale + shift - (v - 0.3) / 0.4).abs() < 1e-6);
    }
}
