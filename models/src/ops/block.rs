//! A program with its parameters and running statistics, as an operation of candle's graph.
//!
//! On the CPU in F32 the whole block is one operation (the fused interpreter); elsewhere it runs node by node. Gradients of
//! parameters leave by *tickets*: the operation's second argument is an empty tensor made by a chain of `Ticket`s, one a
//! parameter. Going back, candle visits the block before the tickets; the block leaves its gradients in a slot and
//! each ticket hands out its own. So a plain `loss.backward()` delivers them.

use super::batch_norm::Statistics;
use super::composed;
use super::fold::{Numbered, fold};
use super::fused::{Batch, Ends, Saved, Walk};
use super::plan::Plan;
use super::program::{Node, Program, chain};
use crate::init::name_hash;
use crate::pass::{Grad, Pass};
use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Storage, Tensor, Var, bail};
use candle_nn::{Init, VarBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A block of a network: `[B, H, W, C]` → `[B, H', W', C']`.
pub struct Block {
    program: Arc<Program>,
    plan: Arc<Plan>,
    params: Vec<Tensor>,
    /// Running mean and variance of every norm.
    stats: Vec<[Var; 2]>,
    /// Tells the random sites of this block from those of others.
    site: u64,
}

impl Block {
    /// Takes or makes the program's variables under `vb`'s path.
    ///
    /// # Errors
    /// When `vb` has a variable of another shape, or lacks one and cannot make it.
    pub fn new(program: Program, vb: VarBuilder<'_>) -> Result<Self> {
        let params = program.params.iter().map(|p| vb.get_with_hints(p.shape.clone(), &p.name, p.init));
        let params = params.collect::<Result<_>>()?;
        let statistic = |name: &str, kind: &str, c: usize, start: f64| {
            Var::from_tensor(&vb.get_with_hints(c, &format!("{name}.{kind}"), Init::Const(start))?)
        };
        let stats = program
            .stats
            .iter()
            .map(|(name, c)| Ok([statistic(name, "running_mean", *c, 0.0)?, statistic(name, "running_var", *c, 1.0)?]));
        let stats = stats.collect::<Result<_>>()?;
        Ok(Self::of(Numbered { program, params, stats }, name_hash(&vb.prefix())))
    }

    fn of(numbered: Numbered, site: u64) -> Self {
        let Numbered { program, params, stats } = numbered;
        let plan = Arc::new(Plan::new(&program));
        Self { program: Arc::new(program), plan, params, stats, site }
    }

    /// Blocks one behind the other as one, with the variables of each.
    ///
    /// # Errors
    /// When a block does not read what the one before writes, or there is none.
    pub(crate) fn joined<'a>(blocks: impl Iterator<Item = &'a Self> + Clone) -> crate::Result<Self> {
        let program = chain(blocks.clone().map(|b| (String::new(), b.program().clone())).collect())?;
        let params = blocks.clone().flat_map(|b| b.params.clone()).collect();
        let stats = blocks.clone().flat_map(|b| b.stats.clone()).collect();
        let site = blocks.clone().next().map_or(0, |b| b.site);
        Ok(Self::of(Numbered { program, params, stats }, site))
    }

    /// The same map in evaluation with batch norms folded into the convolutions before them. Its numbers are copies: it does
    /// not follow the variables, and cannot be trained.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn folded(&self) -> Result<Self> {
        Ok(Self::of(fold(&self.program, &self.params, &self.stats)?, self.site))
    }

    /// Parameters in the order of [`Program::params`].
    pub(crate) fn params(&self) -> &[Tensor] {
        &self.params
    }

    /// Running mean and variance of every norm, in the order of [`Program::stats`].
    pub(crate) fn stats(&self) -> &[[Var; 2]] {
        &self.stats
    }

    /// The block as data.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Runs the block. In training with [`Pass::update_stats`] the running statistics move.
    pub fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        let fused = x.device().is_cpu() && x.dtype() != DType::F64 && pass.layers.is_none();
        self.run(x, pass, if fused { Self::fused } else { Self::nodes })
    }

    /// The same node by node from the single ops of this module: the oracle of the tests.
    pub fn composed(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        self.run(x, pass, Self::nodes)
    }

    fn run(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        interpreter: fn(&Self, &[Tensor], &Tensor, &Pass<'_>) -> Result<Output>,
    ) -> Result<Tensor> {
        let detached: Vec<Tensor>;
        let params = if pass.grad == Grad::All {
            &self.params
        } else {
            detached = self.params.iter().map(Tensor::detach).collect();
            &detached
        };
        let x = if pass.grad == Grad::None { &x.detach() } else { x };
        let (y, seen) = interpreter(self, params, x, pass)?;
        if pass.train && pass.update_stats {
            self.update(&seen)?;
        }
        Ok(y)
    }

    fn nodes(&self, params: &[Tensor], x: &Tensor, pass: &Pass<'_>) -> Result<Output> {
        let running: Vec<[Tensor; 2]> =
            self.stats.iter().map(|s| [s[0].as_detached_tensor(), s[1].as_detached_tensor()]).collect();
        composed::run(&self.program, params, &running, x, pass, self.site)
    }

    fn fused(&self, params: &[Tensor], x: &Tensor, pass: &Pass<'_>) -> Result<Output> {
        if x.elem_count() == 0 {
            bail!("a block got an empty batch: {:?}", x.dims())
        }
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?.contiguous()?;
        let wants: Vec<bool> = params.iter().map(|p| p.track_op()).collect();
        let slot = Slot::default();
        let mut token = Tensor::zeros(0, DType::F32, x.device())?;
        for (index, param) in params.iter().enumerate().filter(|(i, _)| wants[*i]) {
            token = token.apply_op2(param, Ticket { slot: slot.clone(), index })?;
        }
        let single = |p: &Tensor| p.to_dtype(DType::F32)?.contiguous().map(|p| p.detach());
        let running = if pass.train {
            vec![]
        } else {
            let vector = |v: &Var| v.as_detached_tensor().to_dtype(DType::F32)?.to_vec1::<f32>();
            self.stats.iter().map(|s| Ok([vector(&s[0])?, vector(&s[1])?])).collect::<Result<_>>()?
        };
        let seen = Arc::default();
        let graph = x.track_op() || token.track_op();
        let op = Fused {
            program: self.program.clone(),
            plan: self.plan.clone(),
            params: params.iter().map(single).collect::<Result<_>>()?,
            running,
            train: pass.train,
            key: pass.key,
            drop: pass.drop,
            site: self.site,
            keep: graph && !pass.recompute,
            wants,
            slot,
            saved: Mutex::default(),
            seen: Arc::clone(&seen),
        };
        let y = if graph { x.apply_op2(&token, op)? } else { x.apply_op2_no_bwd(&token, &op)? };
        let seen: Vec<Option<Batch>> = std::mem::take(&mut *lock(&seen));
        let tensor = |v: &[f64]| Tensor::new(v, &Device::Cpu)?.to_dtype(DType::F32);
        let statistics = |b: Option<Batch>| match b {
            None => Ok(None),
            Some(b) => Ok(Some(Statistics { mean: tensor(&b.mean)?, variance: tensor(&b.variance)?, count: b.count })),
        };
        Ok((y.to_dtype(dtype)?, seen.into_iter().map(statistics).collect::<Result<_>>()?))
    }

    /// Moves the running statistics.
    fn update(&self, seen: &[Option<Statistics>]) -> Result<()> {
        for node in &self.program.nodes {
            let Node::Norm { stats, momentum, .. } = node else { continue };
            let Some(batch) = seen.get(*stats).and_then(Option::as_ref) else { continue };
            batch.move_into(&self.stats[*stats], *momentum)?;
        }
        Ok(())
    }
}

/// The map, and the batch statistics of every norm in training.
type Output = (Tensor, Vec<Option<Statistics>>);

/// A lock whose holder panicked still holds good data or none.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gradients of one application's parameters between the block and its tickets.
type Slot = Arc<Mutex<Vec<Option<Tensor>>>>;

/// Takes the gradient of parameter `index` out of the slot.
struct Ticket {
    slot: Slot,
    index: usize,
}

impl CustomOp2 for Ticket {
    fn name(&self) -> &'static str {
        "ticket"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![]), 0.into()))
    }
    fn bwd(&self, token: &Tensor, param: &Tensor, _: &Tensor, d: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let own = lock(&self.slot).get_mut(self.index).and_then(Option::take);
        let own = match own {
            Some(grad) => grad.to_dtype(param.dtype())?,
            None => param.zeros_like()?,
        };
        Ok((token.track_op().then(|| d.clone()), Some(own)))
    }
}

/// One application of a block.
struct Fused {
    program: Arc<Program>,
    plan: Arc<Plan>,
    params: Vec<Tensor>,
    running: Vec<[Vec<f32>; 2]>,
    train: bool,
    key: u64,
    site: u64,
    drop: f64,
    keep: bool,
    wants: Vec<bool>,
    slot: Slot,
    saved: Mutex<Option<Saved>>,
    seen: Arc<Mutex<Vec<Option<Batch>>>>,
}

/// The numbers of a contiguous F32 tensor on the CPU.
fn with<R>(t: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = t.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(v)), Some((start, end))) => f(&v[start..end]),
        _ => bail!("a block reads contiguous F32 tensors on the CPU"),
    }
}

impl Fused {
    fn walk<R>(&self, f: impl FnOnce(&Walk<'_>) -> Result<R>) -> Result<R> {
        let storages: Vec<_> = self.params.iter().map(Tensor::storage_and_layout).collect();
        let mut params = Vec::with_capacity(storages.len());
        for (storage, layout) in &storages {
            match (&**storage, layout.contiguous_offsets()) {
                (Storage::Cpu(CpuStorage::F32(v)), Some((start, end))) => params.push(&v[start..end]),
                _ => bail!("a block reads contiguous F32 parameters on the CPU"),
            }
        }
        f(&Walk {
            program: &self.program,
            plan: &self.plan,
            params: &params,
            running: &self.running,
            train: self.train,
            key: self.key,
            site: self.site,
            drop: self.drop,
        })
    }
}

impl CustomOp2 for Fused {
    fn name(&self) -> &'static str {
        "block"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let (b, h, w, c) = lx.shape().dims4()?;
        if self.program.channels.first() != Some(&c) {
            bail!("the block reads {:?} channels, but gets {:?}", self.program.channels.first(), lx.shape())
        }
        let (CpuStorage::F32(x), Some((start, end))) = (x, lx.contiguous_offsets()) else {
            bail!("a block reads contiguous F32 tensors")
        };
        let (z, mut saved) = self.walk(|walk| walk.forward(&x[start..end], [b, h, w], self.keep))?;
        *lock(&self.seen) = std::mem::take(&mut saved.seen);
        let (h, w) = saved.out_size();
        if self.keep {
            *lock(&self.saved) = Some(saved);
        }
        Ok((CpuStorage::F32(z), (b, h, w, self.program.out_channels()).into()))
    }

    fn bwd(&self, x: &Tensor, token: &Tensor, z: &Tensor, dz: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (b, h, w, _) = x.dims4()?;
        let kept = lock(&self.saved).take();
        let dz = dz.contiguous()?;
        let wants_x = x.track_op();
        let (dx, grads) = self.walk(|walk| {
            with(x, |x| {
                // Nothing kept (checkpointing, or a second backward through one graph): run forward again.
                let saved = match kept {
                    Some(saved) => saved,
                    None => walk.forward(x, [b, h, w], true)?.1,
                };
                with(z, |z| with(&dz, |dz| walk.backward(Ends { x, z }, dz, saved, &self.wants, wants_x)))
            })
        })?;
        let tensor = |d: Vec<f32>, shape: &Shape| Tensor::from_vec(d, shape, &Device::Cpu);
        let grads = grads.into_iter().zip(&self.params).zip(&self.wants);
        let grads = grads.map(|((d, p), wants)| match d {
            Some(d) if *wants => tensor(d, p.shape()).map(Some),
            _ => Ok(None),
        });
        *lock(&self.slot) = grads.collect::<Result<_>>()?;
        let dx = dx.map(|d| tensor(d, x.shape())).transpose()?;
        Ok((dx, if token.track_op() { Some(token.zeros_like()?) } else { None }))
    }
}
