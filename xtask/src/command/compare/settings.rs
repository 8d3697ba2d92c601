//! The settings in which runs differ.

use super::finished::Finished;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a run is called and about is no setting.
const NAMES: &[&str] = &["name", "about"];

/// Values by their dotted keys, such as `train.lr`; lists are one value.
pub fn flat(recipe: &Value) -> BTreeMap<String, Value> {
    fn walk(key: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(table) if !table.is_empty() => {
                for (name, value) in table {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    walk(&key, value, into);
                }
            }
            value => {
                into.insert(key.into(), value.clone());
            }
        }
    }
    let mut settings = BTreeMap::new();
    walk("", recipe, &mut settings);
    settings.retain(|key, _| !NAMES.contains(&key.as_str()));
    settings
}

/// The value of every run, by key, of all settings that are not the same everywhere; null where a run has none.
pub fn differing(runs: &[Finished]) -> BTreeMap<String, Vec<Value>> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let values = |key: &String| runs.iter().map(|run| run.settings.get(key).cloned().unwrap_or_default()).collect();
    let all = keys.into_iter().map(|key| -> (String, Vec<Value>) { (key.clone(), values(key)) });
    all.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_flattened_and_lists_are_not() {
        let recipe = json!({"name": "x", "seed": 1, "train": {"lr": 0.1, "optimizer": {"name": "sgd"}}, "a": {},
            "augment": {"transforms": [{"name": "flip"}]}});
        let flat: Vec<(String, Value)> = flat(&recipe).into_iter().collect();
        let expected = [
            ("a", json!({})),
            ("augment.transforms", json!([{"name": "flip"}])),
            ("seed", json!(1)),
            ("train.lr", json!(0.1)),
            ("train.optimizer.name", json!("sgd")),
        ];
        assert_eq!(flat, expected.map(|(key, value)| (key.to_string(), value)));
    }
}
