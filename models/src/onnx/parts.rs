//! What pools, joins and heads are written with.

use super::graph::{Attribute, Graph, Value};
use crate::error::Result;
use candle_core::Tensor;

impl Graph {
    /// `x·Wᵀ + b` of rows `[N, F]`, → `[N, G]`.
    pub(crate) fn linear(&mut self, rows: &Value, weight: &Value, bias: Option<&Value>) -> Value {
        let inputs: Vec<&Value> = [rows, weight].into_iter().chain(bias).collect();
        self.node("Gemm", &inputs, &[("transB", Attribute::Int(1))])
    }

    /// Values one behind the other along an axis; a single one is as it is.
    pub(crate) fn concat(&mut self, all: &[Value], axis: i64) -> Value {
        match all {
            [one] => one.clone(),
            _ => self.node("Concat", &all.iter().collect::<Vec<_>>(), &[("axis", Attribute::Int(axis))]),
        }
    }

    /// All axes but the first as one.
    pub(crate) fn flat(&mut self, x: &Value) -> Value {
        self.node("Flatten", &[x], &[("axis", Attribute::Int(1))])
    }

    /// The sum over some axes, which are left out, or keep a size of 1.
    pub(crate) fn sum(&mut self, x: &Value, axes: &[i64], keep: bool) -> Value {
        let axes = self.ints(axes);
        self.node("ReduceSum", &[x, &axes], &[("keepdims", Attribute::Int(i64::from(keep)))])
    }

    /// `ReduceMean` or `ReduceMax` over an axis, which is left out, or keeps a size of 1.
    pub(crate) fn reduced(&mut self, operator: &str, x: &Value, axis: i64, keep: bool) -> Value {
        let attributes = [("axes", Attribute::Ints(vec![axis])), ("keepdims", Attribute::Int(i64::from(keep)))];
        self.node(operator, &[x], &attributes)
    }

    /// The logarithm of the sum of the exponentials along an axis, which keeps a size of 1. The largest is subtracted first.
    pub(crate) fn log_sum_exp(&mut self, x: &Value, axis: i64) -> Value {
        let top = self.reduced("ReduceMax", x, axis, true);
        let below = self.node("Sub", &[x, &top], &[]);
        let powers = self.node("Exp", &[&below], &[]);
        let sum = self.sum(&powers, &[axis], true);
        let log = self.node("Log", &[&sum], &[]);
        self.node("Add", &[&log, &top], &[])
    }

    /// `√(x + eps)`.
    pub(crate) fn root(&mut self, x: &Value, eps: f32) -> Value {
        let eps = self.scalar(eps);
        let sum = self.node("Add", &[x, &eps], &[]);
        self.node("Sqrt", &[&sum], &[])
    }

    /// Every value multiplied by one number.
    pub(crate) fn times(&mut self, x: &Value, by: f64) -> Value {
        let by = self.scalar(by as f32);
        self.node("Mul", &[x, &by], &[])
    }

    /// Batch norm in evaluation of rows `[N, F]` or maps `[batch, F, height, width]`, of the variables under `name`: weight,
    /// bias, mean and variance.
    pub(crate) fn batch_norm(&mut self, x: &Value, name: &str, numbers: [&Tensor; 4], eps: f64) -> Result<Value> {
        let names = ["weight", "bias", "running_mean", "running_var"];
        let mut values = vec![x.clone()];
        for (leaf, numbers) in names.into_iter().zip(numbers) {
            values.push(self.tensor(&format!("{name}.{leaf}"), numbers)?);
        }
        let eps = [("epsilon", Attribute::Float(eps as f32))];
        Ok(self.node("BatchNormalization", &values.iter().collect::<Vec<_>>(), &eps))
    }
}
