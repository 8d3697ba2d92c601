//! Where a run goes. A run begins with its `recipe.toml` and is finished with its `metrics.json`.

use crate::usage::Usage;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What was found where a run is to go.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Free.
    New(PathBuf),
    /// A run that was interrupted; given only when resuming.
    Unfinished(PathBuf),
    /// A finished run; given only when resuming.
    Finished(PathBuf),
}

/// Looks at `wanted`, and where finished runs lie there, at `wanted-2`, `wanted-3`, ….
pub fn choose(wanted: &Path, resume: bool) -> Result<Place> {
    let mut finished = None;
    for number in 1.. {
        let folder = numbered(wanted, number);
        if is_free(&folder) {
            return Ok(match finished {
                Some(folder) if resume => Place::Finished(folder),
                _ => Place::New(folder),
            });
        }
        if !folder.join("recipe.toml").is_file() {
            let message =
                format!("'{}' holds something that is no run; choose another folder with --out", folder.display());
            return Err(Usage::new(message).into());
        }
        if !folder.join("metrics.json").is_file() {
            let message = format!(
                "'{}' holds an unfinished run; continue it with --resume, or choose another folder with --out",
                folder.display()
            );
            return match resume {
                true => Ok(Place::Unfinished(folder)),
                false => Err(Usage::new(message).into()),
            };
        }
        finished.get_or_insert(folder);
    }
    unreachable!("some number is free")
}

fn numbered(wanted: &Path, number: usize) -> PathBuf {
    match number {
        1 => wanted.to_path_buf(),
        _ => PathBuf::from(format!("{}-{number}", wanted.display())),
    }
}

/// Not there, empty, or a start that was interrupted before its recipe was written.
fn is_free(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return !folder.exists() };
    entries.flatten().all(|entry| is_leftover(&entry.path()))
}

/// What a start writes before the recipe, and what a kill leaves of a file that was being written.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name.as_str() {
        "demo-data" => path.join("planted.json").is_file(),
        "eda.json" | "eda.html" | "eda.toml" | "folds.csv" | "excluded.csv" | "decisions.csv" | "environment.json" => {
            path.is_file()
        }
        name => name.starts_with(".tmp") || name.starts_with(".demo-data"),
    }
}

/// Removes what an interrupted start left in a free folder.
pub fn clear(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| is_leftover(&entry.path())) {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove '{}'", path.display()))?;
    }
    Ok(())
}

/// Removes demo data of a start that ended with a mistake in the recipe, and their folder.
pub fn forget(folder: &Path) {
    if !folder.join("recipe.toml").exists() && clear(folder).is_ok() {
        // Only where nothing else is in it.
        let _ = std::fs::remove_dir(folder);
    }
}

/// Removes files that were being written when the run was killed.
pub fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".tmp") {
            let _ = std::fs::remove_file(entry.path());
        } else if name.starts_with("fold") && entry.path().is_dir() {
            sweep(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn finished_runs_are_never_overwritten_and_unfinished_ones_are_named() {
        let temporary = tempfile::tempdir().unwrap();
        let wanted = temporary.path().join("run");
        let second = temporary.path().join("run-2");
        assert_eq!(choose(&wanted, false).unwrap(), Place::New(wanted.clone()));
        assert_eq!(choose(&wanted, true).unwrap(), Place::New(wanted.clone()));
        fs::create_dir_all(wanted.join("demo-data")).unwrap();
        assert!(choose(&wanted, false).unwrap_err().is::<Usage>(), "somebody's own folder");
        fs::write(wanted.join("demo-data/planted.json"), "{}").unwrap();
        for file in ["eda.json", "eda.html", "folds.csv", "excluded.csv", "decisions.csv", "environment.json"] {
            fs::write(wanted.join(file), "{}").unwrap();
        }
        fs::write(wanted.join(".tmpAbc"), "").unwrap();
        assert_eq!(choose(&wanted, false).unwrap(), Place::New(wanted.clone()));
        clear(&wanted).unwrap();
        assert_eq!(fs::read_dir(&wanted).unwrap().count(), 0);
        fs::write(wanted.join("recipe.toml"), "").unwrap();
        let error = choose(&wanted, false).unwrap_err();
        assert!(error.is::<Usage>() && format!("{error:#}").contains("--resume"), "{error:#}");
        assert_eq!(choose(&wanted, true).unwrap(), Place::Unfinished(wanted.clone()));
        fs::write(wanted.join("metrics.json"), "").unwrap();
        assert_eq!(choose(&wanted, false).unwrap(), Place::New(second.clone()));
        assert_eq!(choose(&wanted, true).unwrap(), Place::Finished(wanted.clone()));
        fs::create_dir_all(&second).unwrap();
        fs::write(second.join("recipe.toml"), "").unwrap();
        assert_eq!(choose(&wanted, true).unwrap(), Place::Unfinished(second));
        let foreign = temporary.path().join("foreign");
        fs::create_dir_all(&foreign).unwrap();
        fs::write(foreign.join("letter.txt"), "").unwrap();
        assert!(choose(&foreign, true).unwrap_err().is::<Usage>());
    }
}
