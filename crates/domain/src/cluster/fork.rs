//! What a fork may change of its parent: whatever a checkpoint can go on with.

use bonfire_search::Assignment;

use crate::spec::{Millis, ModelSpec, Spec};

/// The epochs that the fork trains to, or what is wrong with it and what to do.
///
/// A checkpoint holds weights, optimiser state and a place in the data, so the data and its order, the model's shape and the
/// optimiser's kind stay its parent's.
pub(super) fn check(
    spec: &Spec,
    parent: &Assignment,
    fork: &Assignment,
    epoch: u64,
) -> Result<u64, String> {
    let trained = |parameters| {
        let made = spec.with(parameters);
        made.map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.join("; ")
        })
    };
    let (old, new) = (trained(parent)?, trained(fork)?);
    let kept = [
        ("data", old.data == new.data && old.task == new.task),
        ("model", shape(&old.model) == shape(&new.model)),
        ("optimizer.kind", old.optimizer.kind == new.optimizer.kind),
        ("train.seed", old.train.seed == new.train.seed),
        (
            "train.virtual_shards",
            old.virtual_shards() == new.virtual_shards(),
        ),
    ];
    if let Some((path, _)) = kept.iter().find(|(_, is_kept)| !is_kept) {
        return Err(format!(
            "a fork goes on from its parent's checkpoint, so {path} stays as it was: submit a sweep of its own to change it"
        ));
    }
    let until = u64::from(new.train.epochs);
    if epoch >= until {
        return Err(format!(
            "its checkpoint is at epoch {epoch} of {until}, so there is nothing left to train: fork an earlier one (TRIAL@STEP, \
             see bonfire checkpoint list)"
        ));
    }
    Ok(until)
}

/// The model without what may change between two steps. The no-op model has no weights, so all of it may.
fn shape(model: &ModelSpec) -> ModelSpec {
    let mut model = model.clone();
    if let ModelSpec::Noop { x, sleep_ms } = &mut model {
        (*x, *sleep_ms) = (0.0, Millis(0));
    }
    if let ModelSpec::Mlp { dropout, .. }
    | ModelSpec::Cnn { dropout, .. }
    | ModelSpec::Transformer { dropout, .. } = &mut model
    {
        *dropout = 0.0;
    }
    model
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::spec::is_kept_by_forks;
    use bonfire_search::Value;

    #[track_caller]
    fn check_fork(path: &str, value: Value, epoch: u64, expected: Result<u64, &str>) {
        let text = "kind: sweep\nversion: 1\nname: a\ntask: classification\n\
                    data: { dataset: ./d.csv, label: y, batch: 32 }\ntrain: { epochs: 9 }\n\
                    model: { kind: mlp, hidden: [8], dropout: 0.1 }\n";
        let spec = crate::spec::check(text.as_bytes(), &[]).unwrap();
        let fork: Assignment = [(path.to_owned(), value)].into_iter().collect();
        let found = check(&spec, &Assignment::default(), &fork, epoch);
        match expected {
            Ok(until) => assert_eq!(found, Ok(until), "{path}"),
            Err(words) => assert!(
                found.as_ref().is_err_and(|e| e.contains(words)),
                "{path}: {found:?}"
            ),
        }
    }

    /// Any two values of each field that trials may differ in, in specs of several models: `is_kept_by_forks` knows by name
    /// what comes out here.
    #[test]
    fn what_forks_keep_is_known_by_name() {
        let head = "kind: sweep\nversion: 1\nname: a\ntrain: { epochs: 9 }\n";
        let bases = [
            "task: classification\ndata: { dataset: ./d.csv, label: y, batch: 32 }\nmodel: { kind: mlp, hidden: [8] }\n",
            "task: classification\ndata: { dataset: ./d.csv, label: y, image: { column: i, shape: [1, 8, 8] } }\n\
             model: { kind: cnn }\noptimizer: { kind: sgd }\nschedule: { kind: step }\n",
            "task: language_model\ndata: { dataset: ./d.txt }\nmodel: { kind: transformer }\n",
            "model: { kind: noop }\n",
        ];
        let words = [
            "sgd", "adam", "relu", "gelu", "none", "batch", "layer", "constant", "cosine",
            "balanced", "1s", "2s",
        ];
        let mut values: Vec<Value> = words.map(|word| Value::Text(word.to_owned())).to_vec();
        values.extend([3, 4, 5, 8, 16, 128].map(Value::Int));
        values.extend([0.1, 0.25].map(Value::Real));
        values.extend([false, true].map(Value::Bool));
        let schema = crate::spec::json_schema("sweep").unwrap();
        let names =
            &schema["else"]["properties"]["search"]["properties"]["parameters"]["propertyNames"];
        let names = names["pattern"].as_str().unwrap();
        let names = names
            .trim_start_matches("^(")
            .split(')')
            .next()
            .unwrap()
            .replace('\\', "");
        let mut tried = 0;
        for name in names
            .split('|')
            .flat_map(|name| [name.to_owned(), format!("{name}[0]")])
        {
            let mut outcomes = Vec::new();
            for base in bases {
                let spec = crate::spec::check(format!("{head}{base}").as_bytes(), &[]).unwrap();
                let trial =
                    |value: &Value| -> Assignment { [(name.clone(), value.clone())].into() };
                let valid: Vec<&Value> = values
                    .iter()
                    .filter(|v| spec.with(&trial(v)).is_ok())
                    .collect();
                let pairs = valid.iter().flat_map(|a| valid.iter().map(move |b| (a, b)));
                let outcome =
                    |(a, b): (&&Value, &&Value)| check(&spec, &trial(a), &trial(b), 0).is_err();
                outcomes.extend(pairs.filter(|(a, b)| !a.same(b)).map(outcome));
            }
            if !outcomes.is_empty() {
                tried += 1;
                assert_eq!(outcomes.contains(&true), is_kept_by_forks(&name), "{name}");
            }
        }
        assert!(tried > 20, "{tried}");
    }

    #[test]
    fn a_fork_changes_what_a_checkpoint_can_go_on_with() {
        check_fork("optimizer.lr", Value::Real(1e-4), 3, Ok(9));
        check_fork("model.dropout", Value::Real(0.3), 3, Ok(9));
        check_fork("train.epochs", Value::Int(12), 3, Err("train.epochs"));
        check_fork("optimizer.lr", Value::Real(1e-4), 9, Err("epoch 9 of 9"));
        check_fork("data.batch", Value::Int(64), 3, Err("data stays as it was"));
        check_fork("model.hidden[0]", Value::Int(16), 3, Err("model stays"));
        check_fork("train.seed", Value::Int(2), 3, Err("train.seed stays"));
        let sgd = Value::Text("sgd".into());
        check_fork("optimizer.kind", sgd, 3, Err("optimizer.kind stays"));
    }
}
