//! The rules of the house as tests: see ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 6] = ["data", "augment", "models", "losses", "train", "eval"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Rust files of a folder, with their text up to the unit tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_string();
            found.push((path, code));
        }
    }
    found
}

/// Lines of code that contain one of `words`, outside comments.
fn offenders(crates: &[&str], words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = vec![];
    for name in crates {
        for (path, code) in sources(&root().join(name).join("src")) {
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            if allowed.iter().any(|a| shown.starts_with(a)) {
                continue;
            }
            let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
            for (i, line) in lines {
                found.extend(words.iter().filter(|w| line.contains(*w)).map(|w| format!("{shown}:{}: {w}", i + 1)));
            }
        }
    }
    found
}

#[test]
fn arrows_point_down() {
    for name in CRATES {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for other in CRATES.into_iter().chain(["xtask"]) {
            let depends = manifest.lines().any(|line| {
                let line = line.trim();
                line.starts_with(&format!("{other}."))
                    || line.starts_with(&format!("{other} ="))
                    || line.contains(&format!("sconce-{other}\"")) && !line.starts_with("name")
            });
            assert!(!depends || (name, other) == ("augment", "data"), "{name} must not depend on {other}");
        }
    }
}

#[test]
fn only_xtask_prints_reads_the_environment_or_uses_anyhow() {
    let words = ["anyhow", "println!", "print!", "eprint", "std::env", "env::var"];
    assert_eq!(offenders(&CRATES, &words, &[]), Vec::<String>::new());
}

#[test]
fn no_number_comes_from_a_clock_a_thread_or_global_state() {
    let words =
        ["Instant::now", "SystemTime", "thread::current", "static mut", "lazy_static", "OnceLock<", "inventory::"];
    // How long training waited for pictures is told and goes into no result.
    assert_eq!(offenders(&CRATES, &words, &["data/src/waits.rs"]), Vec::<String>::new());
}

#[test]
fn training_code_does_not_use_ops_of_candle_that_lose_gradients() {
    let words = [
        "candle_nn::LayerNorm",
        "candle_nn::BatchNorm",
        "candle_nn::batch_norm",
        "candle_nn::Dropout",
        "candle_nn::Optimizer",
        "candle_nn::SGD",
        "candle_nn::AdamW",
        "candle_nn::loss",
        "softmax_last_dim",
        ".max_pool2d",
        ".avg_pool2d",
        ".conv2d(",
        "dropout(&",
    ];
    let found =
        offenders(&["models", "losses", "train", "xtask"], &words, &["xtask/src/tidy.rs", "xtask/src/fold/tests.rs"]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn unsafe_code_stays_where_it_is_explained() {
    let allowed = [
        "models/src/ops",
        // They compare kinds of vectors.
        "models/tests/ops.rs",
        "models/tests/blocks.rs",
        "models/src/pretrained.rs",
        "data/src/mmap.rs",
        "augment/src/pixel/simd.rs",
        "train/src/optim/fused.rs",
        "train/src/comm",
        "xtask/src/memory.rs",
    ];
    let all: Vec<&str> = CRATES.into_iter().chain(["xtask"]).collect();
    assert_eq!(
        offenders(&all, &["allow(unsafe_code)", "unsafe {"], &[&allowed[..], &["xtask/src/tidy.rs"]].concat()),
        Vec::<String>::new()
    );
    let kernels = ["models/src/ops", "augment/src/pixel"].map(|folder| sources(&root().join(folder)));
    for (path, code) in kernels.into_iter().flatten() {
        let blocks = code.matches("unsafe {").count();
        assert!(code.matches("// SAFETY:").count() >= blocks, "{}: an unsafe block without // SAFETY:", path.display());
    }
}

#[test]
fn only_ops_know_of_cuda() {
    assert_eq!(offenders(&CRATES, &["feature = \"cu"], &["models/src/ops"]), Vec::<String>::new());
}

#[test]
fn files_have_names_that_say_something() {
    let forbidden = ["utils", "util", "helpers", "helper", "common", "base", "misc", "types", "core"];
    for name in CRATES.into_iter().chain(["xtask"]) {
        for (path, _) in sources(&root().join(name).join("src")) {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(!forbidden.contains(&stem.as_str()), "{} needs a name", path.display());
        }
    }
}

#[test]
fn versions_stand_in_the_root_only() {
    for name in CRATES.into_iter().chain(["xtask"]) {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let dependencies =
            manifest.split("dependencies]").skip(1).flat_map(|s| s.lines().take_while(|l| !l.starts_with('[')));
        for line in dependencies.filter(|l| l.contains('=')) {
            assert!(line.contains("workspace = true"), "{name}: `{line}` must take its version from the root");
        }
    }
}

#[test]
fn examples_of_the_readme_are_those_of_the_crates() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for name in CRATES {
        let page = fs::read_to_string(root().join(name).join("src/lib.rs")).unwrap();
        let lines = page.lines().skip_while(|line| *line != "//! ```").skip(1).take_while(|line| *line != "//! ```");
        let shown = lines.map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or(""));
        let example: Vec<&str> = shown.filter(|line| !line.starts_with("# ")).collect();
        assert!(example.len() >= 8, "{name} has no example");
        assert!(readme.contains(&format!("```rust\n{}\n```", example.join("\n"))), "README.md: the example of {name}");
    }
}
