//! What rows have in common.

use crate::error::{Error, Result};
use crate::row::{Column, Row};
use serde::{Deserialize, Serialize};

/// Something that rows can share: their class, their group, or the value of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The class that the target says above all ([`Row::likeliest`]).
    Class,
    /// [`Row::group`].
    Group,
    /// A value of [`Row::meta`].
    Column {
        /// Its place there.
        index: usize,
        /// What its values mean.
        column: Column,
    },
}

impl Key {
    /// `class`, `group`, or the name of one of `columns`.
    ///
    /// # Errors
    /// [`Error::Invalid`] lists the names there are.
    pub fn find(name: &str, columns: &[Column]) -> Result<Self> {
        match name {
            "class" => return Ok(Self::Class),
            "group" => return Ok(Self::Group),
            _ => {}
        }
        let (index, column) = column(name, columns)?;
        Ok(Self::Column { index, column: column.clone() })
    }

    /// What `row` has: the number of its class, the name of its group or category, or a number as text; `None` where that is
    /// not known.
    pub fn of(&self, row: &Row) -> Option<String> {
        match self {
            Self::Class => row.likeliest().map(|class| class.to_string()),
            Self::Group => row.group.clone(),
            Self::Column { index, column } => {
                let value = row.meta.get(*index).copied().filter(|v| v.is_finite())?;
                match column.categories.is_empty() {
                    true => Some(value.to_string()),
                    false => column.categories.get(value as usize).cloned(),
                }
            }
        }
    }
}

/// The column `name` and its place among `columns`.
///
/// # Errors
/// [`Error::Invalid`] lists the columns there are.
pub(crate) fn column<'a>(name: &str, columns: &'a [Column]) -> Result<(usize, &'a Column)> {
    columns.iter().enumerate().find(|(_, column)| column.name == name).ok_or_else(|| {
        let known = match columns.len() {
            0 => "there is none; name it in data.meta".to_string(),
            _ => format!("expected one of {}", columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")),
        };
        Error::Invalid(format!("unknown column '{name}', {known}"))
    })
}
