//! The composed interpreter: a program run node by node over the ops of this module.

use super::activation::activate;
use super::attention::attention;
use super::batch_norm::{Statistics, batch_norm_eval, batch_norm_train};
use super::conv2d::conv2d;
use super::drop::{drop_path, dropout};
use super::layer_norm::layer_norm;
use super::pool::{Pool, global_pool, pool, spread};
use super::program::{Node, Program};
use super::upsample::{Extent, upsample};
use crate::pass::{Pass, Seen};
use candle_core::{Result, Tensor};

/// `x` `[B, H, W, C]` → the output and, in training, the batch statistics of every norm. `site` tells blocks apart.
pub(crate) fn run(
    program: &Program,
    params: &[Tensor],
    running: &[[Tensor; 2]],
    x: &Tensor,
    pass: &Pass<'_>,
    site: u64,
) -> Result<(Tensor, Vec<Option<Statistics>>)> {
    let mut seen = vec![None; program.stats.len()];
    let mut values: Vec<Tensor> = Vec::with_capacity(program.nodes.len());
    for (id, node) in program.nodes.iter().enumerate() {
        let v = |id: &usize| &values[*id];
        let y = match node {
            Node::Input => x.clone(),
            Node::Conv { x, at, weight, bias } => {
                let (w, [down, across]) = (&params[*weight], at.axes());
                let y = conv2d(v(x), &w.reshape((w.dim(0)?, (), down.size, across.size))?, *at)?;
                let y = match bias {
                    Some(bias) => y.broadcast_add(&params[*bias].to_dtype(y.dtype())?)?,
                    None => y,
                };
                if let Some(see) = pass.layers {
                    see(&program.params[*weight].name, Seen::Convolution(&y));
                }
                y
            }
            Node::Norm { x, eps, weight, bias, stats, .. } => {
                let (weight, bias) = (&params[*weight], &params[*bias]);
                if let Some(see) = pass.layers {
                    see(&program.stats[*stats].0, Seen::Norm { reads: v(x), eps: *eps });
                }
                if pass.train {
                    let (y, statistics) = batch_norm_train(v(x), weight, bias, *eps)?;
                    seen[*stats] = Some(statistics);
                    y
                } else {
                    let [mean, variance] = &running[*stats];
                    batch_norm_eval(v(x), weight, bias, (mean, variance), *eps)?
                }
            }
            Node::LayerNorm { x, eps, weight, bias } => layer_norm(v(x), &params[*weight], &params[*bias], *eps)?,
            Node::Attention { x, heads } => {
                let (b, h, w, c) = v(x).dims4()?;
                attention(&v(x).reshape((b, h * w, c))?, *heads)?.reshape((b, h, w, c / 3))?
            }
            Node::Act { x, f } => activate(v(x), *f)?,
            Node::Add { a, b } => (v(a) + v(b))?,
            Node::Mul { a, b } => (v(a) * v(b))?,
            Node::Upsample { x, f, like } => upsample(v(x), *f, Extent::Size(v(like).dim(1)?, v(like).dim(2)?))?,
            Node::Pool { x, f, at } => pool(v(x), *f, *at)?,
            Node::GlobalPool { x } => global_pool(v(x), Pool::Avg)?,
            Node::Scale { x, gate } => v(x).broadcast_mul(v(gate))?,
            Node::PadChannels { x, before, after } => v(x).pad_with_zeros(3, *before, *after)?,
            Node::DropPath { x, p } if pass.train => drop_path(v(x), pass.rate(*p), pass.key, site ^ program.site(id))?,
            Node::Dropout { x, p } if pass.train => dropout(v(x), pass.rate(*p), pass.key, site ^ program.site(id))?,
            Node::DropPath { x, .. } | Node::Dropout { x, .. } => v(x).clone(),
            Node::AtLeast { x, side } => {
                let (_, h, w, _) = v(x).dims4()?;
                spread(v(x), (h.max(*side), w.max(*side)))?
            }
            Node::Times { x, by } => (v(x) * *by)?,
            Node::Concat { xs } => Tensor::cat(&xs.iter().map(v).collect::<Vec<_>>(), 3)?,
            Node::Plain { x, f, params: own, .. } => {
                let x = v(x).permute((0, 3, 1, 2))?.contiguous()?;
                let own: Vec<Tensor> = own.iter().map(|i| params[*i].clone()).collect();
                f(&[x], &own)?.permute((0, 2, 3, 1))?.contiguous()?
            }
        };
        values.push(y);
    }
    let Some(y) = values.pop() else { candle_core::bail!("empty program") };
    Ok((y, seen))
}
