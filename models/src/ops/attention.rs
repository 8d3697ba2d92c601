//! Self-attention of several heads (Vaswani et al. 2017, "Attention is all you need"), exact gradients.
//!
//! The weights of a head, one a pair of tokens, are never kept: they exist for a few queries at a time, and going back they
//! are computed again, which costs less than the memory they would take (Dao et al. 2022, "FlashAttention").

use super::element::Element;
use super::gemm::{Matrix, multiply};
use super::kernel::{Kernel1, Kernel2, Op1, Op2};
use super::softmax;
use candle_core::{D, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `softmax(q · kᵀ / √d) · v` in each of `heads` heads: `qkv` `[B, N, 3·C]` (queries, keys and values of all heads, one
/// behind the other, as timm's `attn.qkv` writes them) → `[B, N, C]`, where a head has d = C / heads channels.
///
/// # Errors
/// When channels do not divide into heads, or the input is empty.
pub fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    Heads::new(qkv.dims(), heads)?;
    if qkv.device().is_cpu() { qkv.contiguous()?.apply_op1(Op1(Attention(heads))) } else { composed(qkv, heads) }
}

/// The same from plain candle ops.
pub fn composed(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let sizes = Heads::new(qkv.dims(), heads)?;
    let (n, c, d) = (sizes.tokens, sizes.width, sizes.head());
    let parts = qkv.reshape(((), n, 3, heads, d))?.permute((2, 0, 3, 1, 4))?;
    let part = |i: usize| parts.get(i)?.contiguous();
    let scores = (part(0)?.matmul(&part(1)?.transpose(D::Minus1, D::Minus2)?.contiguous()?)? * sizes.scale())?;
    let y = softmax::composed(&scores)?.matmul(&part(2)?)?;
    y.transpose(1, 2)?.contiguous()?.reshape(((), n, c))
}

/// Sizes of one attention.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    /// N.
    pub tokens: usize,
    /// C, channels of all heads.
    pub width: usize,
    pub heads: usize,
}

/// Queries whose weights exist at one time.
const QUERIES: usize = 64;

impl Heads {
    fn new(dims: &[usize], heads: usize) -> Result<Self> {
        let [batch, tokens, channels] = *dims else { bail!("attention: expected [B, N, 3·C], got {dims:?}") };
        if batch * tokens * channels == 0 {
            bail!("attention: empty input {dims:?}")
        }
        if heads == 0 || !channels.is_multiple_of(3 * heads) {
            bail!("attention: {channels} channels are not queries, keys and values of {heads} heads")
        }
        Ok(Self { tokens, width: channels / 3, heads })
    }

    /// Channels of a head.
    fn head(&self) -> usize {
        self.width / self.heads
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head() as f64).sqrt()
    }

    /// `count` queries (`which` 0), keys (1) or values (2) of a head from token `first` on.
    fn part<'a, T>(&self, qkv: &'a [T], which: usize, head: usize, (first, count): (usize, usize)) -> Matrix<'a, T> {
        let row = 3 * self.width;
        Matrix::new(&qkv[first * row + which * self.width + head * self.head()..], count, self.head(), row)
    }

    /// The weights of some queries, `[count, N]`.
    fn weights<T: Element>(&self, qkv: &[T], head: usize, queries: (usize, usize), out: &mut [T]) {
        let keys = self.part(qkv, 1, head, (0, self.tokens)).transposed();
        multiply(self.part(qkv, 0, head, queries), keys, out, self.tokens, false);
        softmax::rows(out, self.tokens, self.scale());
    }
}

/// `[B, N, 3·C]` → `[B, N, C]`.
pub(crate) fn forward<T: Element>(qkv: &[T], sizes: Heads) -> Vec<T> {
    let (n, c, d) = (sizes.tokens, sizes.width, sizes.head());
    let mut y = vec![T::ZERO; qkv.len() / 3];
    y.par_chunks_mut(n * c).zip(qkv.par_chunks(3 * n * c)).for_each(|(y, qkv)| {
        y.par_chunks_mut(QUERIES * c).enumerate().for_each(|(i, y)| {
            let queries = (i * QUERIES, y.len() / c);
            let mut weights = vec![T::ZERO; queries.1 * n];
            for head in 0..sizes.heads {
                sizes.weights(qkv, head, queries, &mut weights);
                let values = sizes.part(qkv, 2, head, (0, n));
                multiply(Matrix::new(&weights, queries.1, n, n), values, &mut y[head * d..], c, false);
            }
        });
    });
    y
}

/// The gradient of `qkv` from that of the result.
pub(crate) fn backward<T: Element>(qkv: &[T], dy: &[T], sizes: Heads) -> Vec<T> {
    let (n, c, d) = (sizes.tokens, sizes.width, sizes.head());
    let samples = dy.len() / (n * c);
    let heads: Vec<Vec<T>> = (0..samples * sizes.heads)
        .into_par_iter()
        .with_max_len(1)
        .map(|i| {
            let (sample, head) = (i / sizes.heads, i % sizes.heads);
            back_head(&qkv[sample * 3 * n * c..][..3 * n * c], &dy[sample * n * c..][..n * c], sizes, head)
        })
        .collect();
    let mut dqkv = vec![T::ZERO; qkv.len()];
    dqkv.par_chunks_mut(3 * n * c).zip(heads.par_chunks(sizes.heads)).for_each(|(dqkv, heads)| {
        for (head, own) in heads.iter().enumerate() {
            for (which, own) in own.chunks_exact(n * d).enumerate() {
                for (row, own) in dqkv.chunks_exact_mut(3 * c).zip(own.chunks_exact(d)) {
                    row[which * c + head * d..][..d].copy_from_slice(own);
                }
            }
        }
    });
    dqkv
}

/// Gradients of the queries, keys and values of one head of one sample, `[3, N, d]`. With weights W, and their gradients
/// G = dy · vᵀ: `dv = Wᵀ · dy`, the scores' S = W ∘ (G − Σ W ∘ G) / √d, `dq = S · k`, `dk = Sᵀ · q`.
fn back_head<T: Element>(qkv: &[T], dy: &[T], sizes: Heads, head: usize) -> Vec<T> {
    let (n, c, d) = (sizes.tokens, sizes.width, sizes.head());
    let mut own = vec![T::ZERO; 3 * n * d];
    let (dq, rest) = own.split_at_mut(n * d);
    let (dk, dv) = rest.split_at_mut(n * d);
    let [mut weights, mut scores] = [(); 2].map(|()| vec![T::ZERO; QUERIES.min(n) * n]);
    for first in (0..n).step_by(QUERIES) {
        let queries = (first, QUERIES.min(n - first));
        let (weights, scores) = (&mut weights[..queries.1 * n], &mut scores[..queries.1 * n]);
        sizes.weights(qkv, head, queries, weights);
        let dy = Matrix::new(&dy[first * c + head * d..], queries.1, d, c);
        multiply(Matrix::new(weights, queries.1, n, n).transposed(), dy, dv, d, first > 0);
        multiply(dy, sizes.part(qkv, 2, head, (0, n)).transposed(), scores, n, false);
        softmax::back_rows(weights, scores, n, sizes.scale());
        let scores = Matrix::new(scores, queries.1, n, n);
        multiply(scores, sizes.part(qkv, 1, head, (0, n)), &mut dq[first * d..], d, false);
        multiply(scores.transposed(), sizes.part(qkv, 0, head, queries), dk, d, first > 0);
    }
    own
}

struct Attention(usize);

impl Kernel1 for Attention {
    const NAME: &'static str = "attention";

    fn run<T: Element>(&self, qkv: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let (b, n, c) = shape.dims3()?;
        Ok((forward(qkv, Heads::new(shape.dims(), self.0)?), (b, n, c / 3).into()))
    }

    fn grad(&self, qkv: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        qkv.apply_op2_no_bwd(dy, &Op2(AttentionGrad(self.0)))
    }
}

struct AttentionGrad(usize);

impl Kernel2 for AttentionGrad {
    const NAME: &'static str = "attention_grad";

    fn run<T: Element>(&self, qkv: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        Ok((backward(qkv, dy, Heads::new(shape.dims(), self.0)?), shape.clone()))
    }
}
