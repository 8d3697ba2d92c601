//! No schedule.

use super::Schedule;
use crate::checkpoint::Record;
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Always 1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {}

impl Schedule for Constant {
    fn factor(&self, _: Progress, _: &[Record]) -> f64 {
        1.0
    }
}
