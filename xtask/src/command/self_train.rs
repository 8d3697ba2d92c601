//! `self-train`: noisy student (Xie et al. 2020, arXiv 1911.04252). Every round is a run of its own in the folder.

use super::predict;
use crate::args::RunArgs;
use crate::assemble;
use crate::output;
use crate::pipeline::{self, Extent, Session};
use crate::pseudo::Pseudo;
use crate::recipe::{Recipe, SelfTrain};
use crate::usage::Usage;
use anyhow::Result;
use eval::Run;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::OnceLock;

pub fn run(args: &RunArgs) -> Result<()> {
    let common = &args.recipe.common;
    let deadline = args.max_minutes.map(pipeline::deadline);
    let first = pipeline::recipe(&args.recipe)?;
    let SelfTrain { rounds, student } = first.self_train.clone();
    if !(1..=100).contains(&rounds) {
        return Err(Usage::new("self_train.rounds must be in 1..=100").into());
    }
    let folder = pipeline::folder(common, &first.name);
    let round = |number: usize| folder.join(format!("round{number}"));
    if !args.resume && !args.dry_run && round(0).exists() {
        let message = format!(
            "'{}' holds rounds already; continue them with --resume, or choose another folder with --out",
            folder.display()
        );
        return Err(Usage::new(message).into());
    }
    // A student that cannot be is found before the teacher is trained.
    let later = first.with(&student)?;
    check(&later)?;
    let device = OnceLock::new();
    let mut done: Vec<Value> = vec![];
    for number in 0..=rounds {
        let mut recipe = if number == 0 { first.clone() } else { later.clone() };
        let rules = recipe.pseudo.take().unwrap_or_default();
        if number > 0 {
            let run = round(number - 1).display().to_string();
            recipe.pseudo = Some(Pseudo { run, ..rules.clone() });
        }
        // Rounds that are left share the time that is left.
        let share = deadline.map(|end| {
            let left = end.saturating_duration_since(std::time::Instant::now());
            left.as_secs_f64() / 60.0 / (rounds + 1 - number) as f64
        });
        recipe.train.max_minutes = share;
        let started = || match device.get() {
            Some(device) => Ok(candle_core::Device::clone(device)),
            None => common.start().map(|started| device.get_or_init(|| started).clone()),
        };
        let session = Session::new(recipe, common, started)?
            .within(Extent::Whole, share.map(pipeline::deadline))
            .of_students(rules);
        if args.dry_run {
            return session.try_out(common.json);
        }
        if !common.quiet {
            output::note(&format!(
                "round {number} of {rounds}: {}",
                if number == 0 { "the teacher" } else { "a student" }
            ));
        }
        let run = session.go(&round(number), true)?;
        done.push(told(number, &run)?);
    }
    let table = json!({"rounds": done});
    predict::write(&folder.join("self-train.json"), &serde_json::to_vec_pretty(&table)?)?;
    output::result(&if common.json { table.to_string() } else { shown(&done) });
    Ok(())
}

/// Builds the student's parts, as if its teacher were there.
fn check(recipe: &Recipe) -> Result<()> {
    let rules = recipe.pseudo.clone().unwrap_or_default();
    let mut recipe = Recipe { pseudo: Some(Pseudo { run: "the round before".into(), ..rules }), ..recipe.clone() };
    let checked = assemble::parts(&mut recipe).and_then(|_| assemble::check_soft(&recipe));
    let checked = checked.and_then(|()| assemble::check_runs(&Recipe { pseudo: None, ..recipe.clone() }));
    checked.map_err(|error| error.context("self_train.student"))
}

/// A round's scores.
fn told(number: usize, run: &Run) -> Result<Value> {
    let metrics: Value = serde_json::from_slice(&run.read("metrics.json")?)?;
    let of = |key: &str| metrics.get(key).cloned().unwrap_or(Value::Null);
    Ok(json!({
        "round": number, "run": run.folder(), "metric": of("metric"), "score": of("score"), "ci95": of("ci95"), "test": of("test"),
    }))
}

fn shown(rounds: &[Value]) -> String {
    let number = |value: &Value| value.as_f64().map_or("undefined".to_string(), |v| format!("{v:.4}"));
    let line = |round: &Value| {
        let name = round["metric"].as_str().unwrap_or("score");
        let interval = match &round["ci95"] {
            Value::Array(ends) => format!(" ({} to {})", number(&ends[0]), number(&ends[1])),
            _ => String::new(),
        };
        let test = match &round["test"][name] {
            Value::Null => String::new(),
            value => format!(", test part {}", number(value)),
        };
        let place = round["run"].as_str().map(Path::new).map(|path| path.display().to_string()).unwrap_or_default();
        format!("round {}: {name} {}{interval}{test}  {place}", round["round"], number(&round["score"]))
    };
    rounds.iter().map(line).collect::<Vec<_>>().join("\n")
}
