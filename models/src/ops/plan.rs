//! What the fused interpreter computes and what it only describes; decided once for a program.

use super::cpu::act::Curve;
use super::program::{Id, Node, Program};

/// Decisions for every node.
pub(crate) struct Plan {
    pub users: Vec<Vec<Id>>,
    /// Nodes whose value is described, not stored: a norm, an activation of it, a gated activation.
    pub described: Vec<bool>,
    /// For a sum: the activation that it applies at once, and that activation's node.
    pub closes: Vec<Option<(Curve, Id)>>,
    /// Values that going back reads.
    pub kept: Vec<bool>,
    /// The last node that reads a value, described ones included.
    pub last: Vec<Id>,
}

impl Plan {
    pub(crate) fn new(program: &Program) -> Self {
        let count = program.nodes.len();
        let mut users = vec![vec![]; count];
        for (id, node) in program.nodes.iter().enumerate() {
            for x in node.inputs() {
                users[x].push(id);
            }
        }
        let node = |id: Id| &program.nodes[id];
        let closes: Vec<_> = (0..count)
            .map(|id| match (node(id), &users[id][..]) {
                (Node::Add { .. }, [user]) => match node(*user) {
                    Node::Act { f, .. } => Curve::of(*f).filter(Curve::shows_slope).map(|f| (f, *user)),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let mut described = vec![false; count];
        let mut gated = vec![false; count];
        for id in 0..count {
            let bare = |x: Id| described[x] && matches!(node(x), Node::Norm { .. });
            let (may, gate) = match node(id) {
                Node::Norm { .. } => (true, false),
                Node::Act { x, f } => (bare(*x) && Curve::of(*f).is_some(), false),
                Node::Scale { x, .. } => (described[*x] && !gated[*x], true),
                _ => (false, false),
            };
            let reads = |user: &Id| match node(*user) {
                Node::Conv { .. } => true,
                Node::Pool { .. } => !gate,
                Node::Add { .. } | Node::GlobalPool { .. } | Node::DropPath { .. } | Node::Dropout { .. } => !gate,
                Node::Times { .. } => !gate,
                Node::Act { f, .. } => matches!(node(id), Node::Norm { .. }) && Curve::of(*f).is_some(),
                Node::Scale { x, gate: other } => !gate && *x == id && *other != id,
                _ => false,
            };
            gated[id] = gate;
            described[id] = may && id + 1 < count && !users[id].is_empty() && users[id].iter().all(reads);
        }
        let mut last: Vec<Id> = (0..count).map(|id| users[id].iter().copied().max().unwrap_or(id)).collect();
        for id in (0..count).rev().filter(|&id| described[id]) {
            for x in program.nodes[id].inputs() {
                last[x] = last[x].max(last[id]);
            }
        }
        let reads_back = |user: Id| {
            matches!(
                node(user),
                Node::Conv { .. }
                    | Node::Norm { .. }
                    | Node::LayerNorm { .. }
                    | Node::Attention { .. }
                    | Node::Act { .. }
                    | Node::Mul { .. }
                    | Node::Scale { .. }
                    | Node::Pool { .. }
            )
        };
        let kept = (0..count).map(|id| {
            let result = matches!(node(id), Node::Act { x, .. } if closes[*x].is_some());
            !described[id] && (result || users[id].iter().any(|&user| reads_back(user)))
        });
        let kept = kept.collect();
        Self { users, described, closes, kept, last }
    }

    /// Whether `id`'s value has one reader.
    pub(crate) fn single(&self, id: Id) -> bool {
        self.users[id].len() == 1
    }
}
