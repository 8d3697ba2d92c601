//! Reading recipes: layers of TOML, and `--set` options over them.

use super::BUNDLED;
use crate::usage::{Usage, suggestion};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Section and line that an error of TOML points to, between `before` and `after`.
pub(super) fn place(before: &str, after: &str) -> String {
    let section = before.lines().rev().find(|line| line.starts_with('[')).unwrap_or_default();
    let begun = before.rsplit('\n').next().unwrap_or_default();
    let line = format!("{begun}{}", after.lines().next().unwrap_or_default());
    if line == section { format!("{section}: ") } else { format!("{section} `{line}`: ").trim_start().to_string() }
}

/// The table of a recipe with everything that it extends below it.
pub(super) fn layers(name: &str, depth: usize) -> Result<toml::Table> {
    if depth > 8 {
        return Err(Usage::recipe(name)).context(format!("'{name}' extends itself"));
    }
    let (text, folder) = read(name)?;
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|e| anyhow::anyhow!("{e}")).context(Usage::recipe(name))?;
    let Some(base) = table.remove("extends") else { return Ok(table) };
    let Some(base) = base.as_str() else {
        return Err(Usage::recipe(name)).context("`extends` must be a name or a path");
    };
    let beside = folder.join(base);
    let base = if beside.is_file() { beside.display().to_string() } else { base.to_string() };
    let mut merged = layers(&base, depth + 1)?;
    merge(&mut merged, table);
    Ok(merged)
}

fn read(name: &str) -> Result<(String, PathBuf)> {
    if let Some((_, text)) = BUNDLED.iter().find(|(known, _)| *known == name) {
        return Ok((text.to_string(), PathBuf::new()));
    }
    let path = Path::new(name);
    if path.is_file() {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read '{name}'"))
            .context(Usage::recipe(name))?;
        return Ok((text, path.parent().map(Path::to_path_buf).unwrap_or_default()));
    }
    let known: Vec<&str> = BUNDLED.iter().map(|(name, _)| *name).collect();
    let message = format!("unknown recipe '{name}', expected a file or one of {}", known.join(", "));
    let hint = suggestion(&message);
    Err(anyhow::anyhow!("{message}{hint}").context(Usage::recipe(name)))
}

/// Tables are merged, everything else is replaced.
pub(super) fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => {
                if let Some(name) = over.get("name") {
                    rename(base, name);
                }
                merge(base, over);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Keys of `[model]` and `[loss]` that belong to no technique.
const KEPT: &[&str] = &[
    "class_weights",
    "dropout",
    "embedding",
    "meta",
    "meta_hidden",
    "pool",
    "head",
    "views",
    "join",
    "init",
    "lsuv",
    "pretrained",
    "input",
    "similarity",
    "teacher",
];

/// A technique of another name does not inherit the parameters of the old one; what the recipe itself says stays.
fn rename(technique: &mut toml::Table, name: &toml::Value) {
    if technique.get("name").is_some_and(|old| old != name) {
        technique.retain(|key, _| KEPT.contains(&key));
    }
}

/// Lays a `--set` option over `table`.
pub fn lay(table: &mut toml::Table, set: &str) -> Result<()> {
    let (key, value) = parse_set(set)?;
    insert(table, &key, value)
}

/// `a.b=value`; a value that is not TOML is a string.
fn parse_set(set: &str) -> Result<(Vec<String>, toml::Value)> {
    let Some((key, value)) = set.split_once('=') else {
        return Err(Usage::command_line()).context(format!("--set {set}: expected key=value"));
    };
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
    let value = parsed.and_then(|mut t| t.remove("value")).unwrap_or_else(|| toml::Value::String(value.to_string()));
    Ok((key.trim().split('.').map(str::to_string).collect(), value))
}

fn insert(table: &mut toml::Table, path: &[String], value: toml::Value) -> Result<()> {
    match path {
        [] => bail!(Usage::command_line()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let entry = table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::String(name) = entry {
                // A technique given by its name alone grows into a table.
                *entry =
                    toml::Value::Table([("name".to_string(), toml::Value::String(name.clone()))].into_iter().collect());
            }
            match entry {
                toml::Value::Table(inner) => {
                    if rest == ["name"] {
                        rename(inner, &value);
                    }
                    insert(inner, rest, value)
                }
                _ => Err(Usage::command_line()).context(format!("--set: '{first}' is not a table")),
            }
        }
    }
}
