//! Batch norm folded into convolutions, for evaluation (Jacob et al. 2018, arXiv 1712.05877, §3.2).
//!
//! With running statistics a norm multiplies each channel by `s = weight / √(variance + eps)` and moves it. Behind a
//! convolution that nothing else reads, its rows of weights take the factor, and a bias takes the rest:
//! `(bias of the convolution − mean) · s + bias of the norm`. Norms elsewhere stay, such as those before a convolution.

use super::program::{Node, Param, Program};
use candle_core::{DType, Result, Tensor, Var};
use candle_nn::Init;

/// A program and its numbers, in the program's order.
pub(crate) struct Numbered {
    pub program: Program,
    pub params: Vec<Tensor>,
    pub stats: Vec<[Var; 2]>,
}

/// The same map in evaluation, with as few norms as can be.
pub(crate) fn fold(program: &Program, params: &[Tensor], stats: &[[Var; 2]]) -> Result<Numbered> {
    let norms = norms(program);
    let mut folded = Numbered { program: program.clone(), params: vec![], stats: vec![] };
    let own = &mut folded.program;
    own.nodes.clear();
    own.channels.clear();
    own.params.clear();
    own.stats.clear();
    // Where each value has gone.
    let mut moved = vec![0; program.nodes.len()];
    for (id, node) in program.nodes.iter().enumerate() {
        let mut node = node.clone();
        if let Node::Norm { x, .. } = node
            && norms[x] == Some(id)
        {
            moved[id] = moved[x];
            continue;
        }
        let mut own_param = |param: Param, value: Tensor| {
            own.params.push(param);
            folded.params.push(value.detach());
            own.params.len() - 1
        };
        match (&mut node, norms[id].map(|norm| &program.nodes[norm])) {
            (
                Node::Conv { weight, bias, at, .. },
                Some(Node::Norm { eps, weight: scale, bias: shift, stats: seen, .. }),
            ) => {
                let [mean, variance] = &stats[*seen];
                let wide = |t: &Tensor| t.to_dtype(DType::F64);
                let factor = (wide(&params[*scale])? / (wide(variance)? + *eps)?.sqrt()?)?;
                let start = match bias {
                    Some(bias) => (wide(&params[*bias])? - wide(mean)?)?,
                    None => wide(mean)?.neg()?,
                };
                let start = (start.mul(&factor)? + wide(&params[*shift])?)?;
                let (param, value) = (&program.params[*weight], &params[*weight]);
                let rows = wide(value)?.reshape((factor.elem_count(), ()))?.broadcast_mul(&factor.unsqueeze(1)?)?;
                let name = format!("{}.bias", param.name.trim_end_matches(".weight"));
                *weight = own_param(param.clone(), rows.reshape(value.shape())?.to_dtype(value.dtype())?);
                let shape = vec![factor.elem_count()];
                *bias = Some(own_param(Param { name, shape, init: Init::Const(0.0) }, start.to_dtype(value.dtype())?));
                at.bias = true;
            }
            (node, _) => {
                for index in node.params_mut() {
                    *index = own_param(program.params[*index].clone(), params[*index].clone());
                }
            }
        }
        if let Node::Norm { stats: seen, .. } = &mut node {
            own.stats.push(program.stats[*seen].clone());
            folded.stats.push(stats[*seen].clone());
            *seen = own.stats.len() - 1;
        }
        node.inputs_mut().into_iter().for_each(|x| *x = moved[*x]);
        moved[id] = own.nodes.len();
        own.nodes.push(node);
        own.channels.push(program.channels[id]);
    }
    Ok(folded)
}

/// For every convolution the norm that is its only reader.
fn norms(program: &Program) -> Vec<Option<usize>> {
    let mut readers = vec![vec![]; program.nodes.len()];
    for (id, node) in program.nodes.iter().enumerate() {
        node.inputs().into_iter().for_each(|x| readers[x].push(id));
    }
    let norm = |(node, readers): (&Node, &Vec<usize>)| match (node, readers.as_slice()) {
        (Node::Conv { .. }, &[reader]) if matches!(program.nodes[reader], Node::Norm { .. }) => Some(reader),
        _ => None,
    };
    program.nodes.iter().zip(&readers).map(norm).collect()
}

#[cfg(test)]
mod tests {
    use super::super::program::{block, concat};
    use super::super::window::k;
    use super::*;

    /// One norm behind a convolution, one behind a sum, and one behind a convolution that something else reads.
    #[test]
    fn only_norms_behind_their_own_convolution_are_folded() {
        let program = block(4, |x| {
            let y = x.conv("a", 4, k(3)).norm("an").relu();
            let z = (y + x).norm("sum").conv("b", 4, k(1));
            concat(z.norm("bn"), &[z])
        })
        .unwrap();
        let number =
            |i: usize, shape: &[usize]| Tensor::full(1.0 + i as f32, shape, &candle_core::Device::Cpu).unwrap();
        let params: Vec<_> = program.params.iter().enumerate().map(|(i, p)| number(i, &p.shape)).collect();
        let stat = |i: usize| Var::from_tensor(&number(i, &[4])).unwrap();
        let stats: Vec<_> = (0..3).map(|i| [stat(i), stat(i)]).collect();
        let folded = fold(&program, &params, &stats).unwrap();
        let names: Vec<_> = folded.program.params.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a.weight", "a.bias", "sum.weight", "sum.bias", "b.weight", "bn.weight", "bn.bias"]);
        let stats: Vec<_> = folded.program.stats.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((stats.as_slice(), folded.stats.len()), (&["sum", "bn"][..], 2));
        assert_eq!(folded.program.sizes((5, 5)).unwrap().len(), program.nodes.len() - 1);
    }
}
