//! Good specs: the shipped configs, what their text means, and that nothing is lost on the way to text and back.
#![allow(clippy::unwrap_used)]

use bonfire_domain::search::{Alike, Assignment, Goal, Range, Value};
use bonfire_domain::spec::{ClassWeights, ModelSpec, Spec, check, json_schema, render_problems};
use proptest::prelude::*;

const CONFIGS: [(&str, &[u8]); 5] = [
    ("digits", include_bytes!("../../../configs/digits.yaml")),
    ("grid", include_bytes!("../../../configs/grid.yaml")),
    ("noop", include_bytes!("../../../configs/noop.yaml")),
    (
        "regression",
        include_bytes!("../../../configs/regression.yaml"),
    ),
    (
        "text-transformer",
        include_bytes!("../../../configs/text-transformer.yaml"),
    ),
];

#[track_caller]
fn read(text: &[u8]) -> Spec {
    match check(text, &[]) {
        Ok(spec) => spec,
        Err(problems) => panic!("{}", render_problems(&problems, "good.yaml", text)),
    }
}

/// Reads its own text back to the same spec.
#[track_caller]
fn check_round_trip(spec: &Spec) {
    let yaml = spec.resolved_yaml();
    assert_eq!(&read(yaml.as_bytes()), spec, "{yaml}");
    let json = spec.resolved().to_string();
    assert_eq!(&read(json.as_bytes()), spec, "{json}");
    let canonical = spec.canonical();
    assert_eq!(
        &Spec::from_canonical(&canonical).unwrap(),
        spec,
        "{canonical}"
    );
}

#[test]
fn configs_are_good_and_survive_the_way_through_text() {
    for (_, text) in CONFIGS {
        let spec = read(text);
        check_round_trip(&spec);
    }
}

#[test]
fn objectives_survive_and_take_the_place_of_one() {
    let spec = read(
        b"kind: sweep\nversion: 1\nname: t\ndata: { dataset: d.csv, label: y }\ntask: classification\nmodel: { kind: mlp }\n\
          search:\n  limit: { trials: 9 }\n  objectives: [ { metric: valid.macro_f1 }, { metric: valid.loss, goal: maximize } ]\n  \
          parameters: { optimizer.lr: { min: 1e-4, max: 1e-1 } }\n",
    );
    check_round_trip(&spec);
    let objectives: Vec<(&str, Goal)> = spec
        .objectives()
        .map(|one| (one.metric.as_str(), one.goal))
        .collect();
    let expected = [
        ("valid.macro_f1", Goal::Maximize),
        ("valid.loss", Goal::Maximize),
    ];
    assert_eq!(objectives, expected);
    assert!(!spec.resolved_yaml().contains("objective:"));
    let judged: Vec<&str> = spec.judged_metrics().into_iter().collect();
    assert_eq!(judged, ["valid.loss"]);
}

/// Start points are whole ones; what they leave out is the same every time.
#[test]
fn requirements_and_start_points_survive_too() {
    let spec = read(
        b"kind: sweep\nversion: 1\nname: t\ndata: { dataset: d.csv, label: y }\ntask: classification\nmodel: { kind: mlp }\n\
          search:\n  limit: { trials: 9 }\n  require: [ 'model.hidden[0] >= model.hidden[1]', \"optimizer.kind != 'sgd' or optimizer.lr < 0.1\" ]\n  \
          start: [ { optimizer.lr: 1e-2, 'model.hidden[1]': 64 }, { optimizer.momentum: 0.9 }, {} ]\n  parameters:\n    \
          model.hidden[0]: { values: [32, 64] }\n    model.hidden[1]: { values: [32, 64] }\n    \
          optimizer.lr: { min: 1e-5, max: 1.0, log: true }\n    optimizer.kind: { values: [adamw, sgd] }\n    \
          optimizer.momentum: { min: 0.0, max: 0.99, when: { optimizer.kind: sgd } }\n",
    );
    check_round_trip(&spec);
    let sampler = spec.sampler().unwrap();
    let search = spec.search.unwrap();
    assert_eq!(search.start.len(), 3);
    assert!(
        search
            .start
            .iter()
            .all(|point| search.space.contains(point))
    );
    assert_eq!(search.start[0]["optimizer.lr"], Value::Real(0.01));
    assert_eq!(search.start[0]["model.hidden[0]"], Value::Int(64));
    let sgd = Value::Text("sgd".to_owned());
    assert_eq!(search.start[1]["optimizer.kind"], sgd);
    let suggested = sampler.suggest_many(0, 3).into_iter();
    let points = suggested.map(|one| match one {
        bonfire_domain::search::Suggestion::Trial(point) => point,
        bonfire_domain::search::Suggestion::Exhausted { reason } => panic!("{reason}"),
    });
    assert_eq!(points.collect::<Vec<Assignment>>(), search.start);
}

/// Whether every key of a document is in the schema.
fn find_strange(
    document: &serde_json::Value,
    schema: &serde_json::Value,
    path: &str,
) -> Vec<String> {
    let Some(properties) = schema["properties"].as_object() else {
        return Vec::new();
    };
    let Some(map) = document.as_object() else {
        return vec![format!("{path} is no map")];
    };
    let inner = map.iter().flat_map(|(key, value)| {
        let path = format!("{path}.{key}");
        match properties.get(key) {
            Some(schema) => find_strange(value, schema, &path),
            None => vec![path],
        }
    });
    inner.collect()
}

#[test]
fn configs_follow_the_schema() {
    let schema = json_schema("sweep").unwrap();
    for (name, text) in CONFIGS {
        let document: serde_json::Value = serde_saphyr::from_slice(text).unwrap();
        assert_eq!(find_strange(&document, &schema, name), Vec::<String>::new());
        assert_eq!(
            find_strange(&read(text).resolved(), &schema, name),
            Vec::<String>::new()
        );
    }
}

const HEAD: &str = "kind: sweep\nversion: 1\nname: t\n";
const MLP: &str = "task: classification\ndata: { dataset: d, label: y }\n";

#[test]
fn what_is_left_out_has_a_default() {
    let spec = read(format!("{HEAD}{MLP}model: {{ kind: mlp }}").as_bytes());
    check_round_trip(&spec);
    assert_eq!(spec.objective.metric, "valid.accuracy");
    assert_eq!(spec.tracking.experiment, "t");
    assert!(spec.search.is_none());
    let noop = read(format!("{HEAD}model: {{ kind: noop }}").as_bytes());
    check_round_trip(&noop);
    assert_eq!(
        (noop.budget(), noop.task, noop.data.is_none()),
        (1, None, true)
    );
    assert_eq!(noop.objective.metric, "valid.loss");
    let half = read(format!("{HEAD}task: regression\nmodel: {{ kind: mlp }}\ndata: {{ dataset: d, label: y, split: {{ train: 0.9 }} }}").as_bytes());
    assert_eq!(half.data.unwrap().split.valid, 0.1);
    assert_eq!(half.objective.metric, "valid.rmse");
}

#[test]
fn every_word_of_class_weights_is_kept() {
    for (text, expected) in [
        ("none", ClassWeights::None),
        ("~", ClassWeights::None),
        ("balanced", ClassWeights::Balanced),
        (
            "{ a: 1, b: 2.5 }",
            ClassWeights::Given([("a".into(), 1.0), ("b".into(), 2.5)].into()),
        ),
    ] {
        let text = format!("{HEAD}{MLP}model: {{ kind: mlp }}\nloss: {{ class_weights: {text} }}");
        let spec = read(text.as_bytes());
        check_round_trip(&spec);
        assert_eq!(spec.loss.class_weights, expected, "{text}");
    }
}

#[test]
fn equal_specs_have_equal_digests_however_they_are_written() {
    let yaml =
        format!("{HEAD}{MLP}model: {{ kind: mlp, dropout: 0.25 }}\noptimizer: {{ lr: 1e-3 }}");
    let json = r#"{ "version": 1, "kind": "sweep", "optimizer": { "kind": "adamw", "lr": 0.001 }, "name": "t",
        "model": { "dropout": 2.5e-1, "kind": "mlp" }, "data": { "label": "y", "dataset": "d" }, "task": "classification" }"#;
    let (a, b) = (read(yaml.as_bytes()), read(json.as_bytes()));
    assert_eq!(a.digest(), b.digest());
    let set = [("optimizer.lr".to_owned(), "0.002".to_owned())];
    assert_ne!(check(yaml.as_bytes(), &set).unwrap().digest(), a.digest());
}

const SEARCH: &str = "search:
  limit: { trials: 10 }
  parameters:
    optimizer.lr: { min: 1e-4, max: 1e-1, log: true }
    model.hidden[1]: { values: [16, 32] }
    model.activation: { values: [relu, tanh] }
    optimizer.kind: { values: [adamw, sgd] }
    optimizer.momentum: { min: 0.0, max: 0.9, when: { optimizer.kind: sgd } }
    data.batch: { min: 8, max: 64 }
    optimizer.clip_norm: { values: [none, 1.0] }
";

fn assignment(values: &[(&str, Value)]) -> Assignment {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// `Err`: what the first problem says.
#[track_caller]
fn check_trial(values: &[(&str, Value)], expected: Result<(), &str>) -> Option<Spec> {
    let sweep = read(format!("{HEAD}{MLP}model: {{ kind: mlp }}\n{SEARCH}").as_bytes());
    let found = sweep.with(&assignment(values));
    let told = found
        .as_ref()
        .map(|_| ())
        .map_err(|problems| problems[0].to_string());
    assert_eq!(told, expected.map_err(str::to_owned), "{values:?}");
    found.ok()
}

#[test]
fn a_trial_is_the_spec_with_its_values_filled_in() {
    use Value::{Int, Real, Text};
    let text = |word: &str| Text(word.to_owned());
    let trial = check_trial(
        &[
            ("optimizer.lr", Real(0.01)),
            ("model.hidden[1]", Int(16)),
            ("model.activation", text("tanh")),
            ("optimizer.kind", text("sgd")),
            ("optimizer.momentum", Real(0.5)),
            ("data.batch", Int(8)),
            ("optimizer.clip_norm", text("none")),
        ],
        Ok(()),
    )
    .unwrap();
    assert!(trial.search.is_none());
    assert!(matches!(&trial.model, ModelSpec::Mlp { hidden, .. } if *hidden == [128, 16]));
    assert_eq!((trial.optimizer.lr, trial.optimizer.momentum), (0.01, 0.5));
    assert_eq!(
        (
            trial.optimizer.clip_norm,
            trial.data.as_ref().unwrap().batch
        ),
        (None, 8)
    );
    check_round_trip(&trial);
    // The same trial as a file of its own.
    let own = format!(
        "{HEAD}{MLP}model: {{ kind: mlp, hidden: [128, 16], activation: tanh }}
optimizer: {{ kind: sgd, lr: 0.01, momentum: 0.5, clip_norm: none }}"
    );
    let own = check(own.as_bytes(), &[("data.batch".into(), "8".into())]).unwrap();
    assert_eq!(own.digest(), trial.digest());
}

#[test]
fn values_that_no_field_takes_are_refused() {
    use Value::{Int, Real, Text};
    check_trial(
        &[("optimizer.lr", Real(2.0))],
        Err("optimizer.lr: expected a number above 0 and at most 1, found 2.0"),
    );
    check_trial(
        &[("data.batch", Real(8.5))],
        Err("data.batch: expected a whole number from 1 to 1048576, found 8.5"),
    );
    check_trial(&[("data.batch", Real(8.0))], Ok(()));
    check_trial(&[("optimizer.lr", Int(1))], Ok(()));
    check_trial(
        &[("optimizer.rl", Int(1))],
        Err("optimizer.rl: no field of a spec has this path; did you mean optimizer.lr?"),
    );
    check_trial(
        &[("optimizer.momentum", Real(0.5))],
        Err("optimizer.momentum: adamw has no such field, it is for sgd"),
    );
    check_trial(
        &[("model.hidden[2]", Int(5))],
        Err("model.hidden[2]: model.hidden has 2 entries, the last is model.hidden[1]"),
    );
    check_trial(
        &[("train.epochs", Int(5))],
        Err("train.epochs: is the same for all trials of a sweep, it cannot be searched"),
    );
    let sgd = ("optimizer.kind", Text("sgd".into()));
    let still = ("optimizer.momentum", Real(0.0));
    check_trial(
        &[sgd, still, ("optimizer.nesterov", Value::Bool(true))],
        Err("optimizer.nesterov: needs a momentum above 0"),
    );
}

#[test]
fn a_momentum_for_the_trials_that_have_one_is_no_error() {
    let text =
        format!("{HEAD}{MLP}model: {{ kind: mlp }}\noptimizer: {{ momentum: 0.5 }}\n{SEARCH}");
    let sweep = read(text.as_bytes());
    check_round_trip(&sweep);
    let kind = |word: &str| assignment(&[("optimizer.kind", Value::Text(word.into()))]);
    assert_eq!(sweep.with(&kind("sgd")).unwrap().optimizer.momentum, 0.5);
    let plain = read(format!("{HEAD}{MLP}model: {{ kind: mlp }}").as_bytes());
    assert_eq!(sweep.with(&kind("adamw")).unwrap().digest(), plain.digest());
}

const EXTERNAL: &str = "kind: sweep
version: 1
name: t
trials: external
search:
  objective: { metric: loss, goal: minimize }
  limit: { trials: 10 }
  parameters:
    layers: { min: 1, max: 8 }
    rate: { min: 1, max: 8.0, log: true }
    width: { values: [32, 16] }
    share: { values: [0.5, 0, 1], ordered: false }
    kind: { values: [b, a] }
    any: { values: [auto, 3, 0.5, true] }
    cell: { values: [conv, conv5, pool], distance: [[0, 1, 4], [1, 0, 3.5], [4, 3.5, 0]] }
    depth: { min: 1, max: 2, when: { share: 1, width: [16, 32] } }
";

#[test]
fn external_parameters_are_what_their_ranges_say() {
    use Value::{Bool, Int, Real, Text};
    let spec = read(EXTERNAL.as_bytes());
    check_round_trip(&spec);
    assert!(spec.is_external());
    assert_eq!(spec.limits.time.map(|t| t.0), Some(3_600_000));
    assert_eq!(spec.budget(), u64::from(u32::MAX));
    let search = spec.search.as_ref().unwrap();
    let text = |word: &str| Text(word.to_owned());
    let choice = |values: &[Value], ordered| Range::Choice {
        values: values.to_vec(),
        alike: Alike::neighbours(ordered),
    };
    let cell = Range::Choice {
        values: ["conv", "conv5", "pool"].map(text).to_vec(),
        alike: Alike::Apart(vec![
            vec![0.0, 1.0, 4.0],
            vec![1.0, 0.0, 3.5],
            vec![4.0, 3.5, 0.0],
        ]),
    };
    let integer = |max| Range::Integer {
        min: 1,
        max,
        log: false,
    };
    let rate = Range::Real {
        min: 1.0,
        max: 8.0,
        log: true,
    };
    for (name, expected) in [
        ("layers", integer(8)),
        ("rate", rate),
        ("width", choice(&[Int(16), Int(32)], true)),
        ("share", choice(&[Real(0.5), Real(0.0), Real(1.0)], false)),
        ("kind", choice(&[text("b"), text("a")], false)),
        (
            "any",
            choice(&[text("auto"), Int(3), Real(0.5), Bool(true)], false),
        ),
        ("depth", integer(2)),
        ("cell", cell),
    ] {
        let found = search.space.parameters().iter().find(|p| p.name == name);
        assert_eq!(found.unwrap().range, expected, "{name}");
    }
    // A trial's values are no fields of the spec.
    let trial = spec.with(&assignment(&[("layers", Int(3))])).unwrap();
    assert!(trial.is_external() && trial.search.is_none());
}

#[test]
fn external_rungs_say_how_long_a_trial_is() {
    let text = EXTERNAL.replace(
        "search:\n",
        "limits: { time: none }\nretry: { lost: 2 }\nsearch:\n  scheduler: { kind: asha, min: 2, max: 18 }\n",
    );
    let spec = read(text.as_bytes());
    check_round_trip(&spec);
    assert_eq!((spec.budget(), spec.limits.time), (18, None));
    let known = EXTERNAL.replace("{ metric: loss, goal: minimize }", "{ metric: accuracy }");
    assert_eq!(read(known.as_bytes()).objective.goal, Goal::Maximize);
    let unnamed = EXTERNAL.replace("metric: loss, ", "");
    assert_eq!(read(unnamed.as_bytes()).objective.metric, "value");
}

#[test]
fn a_spec_of_the_fleet_keeps_the_digest_it_had_before_there_were_others() {
    let spec = read(format!("{HEAD}model: {{ kind: noop }}").as_bytes());
    assert!(!spec.canonical().contains("trials"));
}

/// A line of a random spec, or nothing.
fn one_of(lines: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(lines)
}

prop_compose! {
    fn random_spec()(
        head in one_of(&[
            "task: classification\ndata: { dataset: 'a b: c', label: '1', batch: 8, types: { no: categorical }, drop: ['*', '#x'] }\nmodel: { kind: mlp, hidden: [7], norm: batch }\n",
            "task: classification\ndata: { dataset: d, label: y, image: { column: 'null', shape: [3, 8, 8] }, missing: drop }\nmodel: { kind: cnn, channels: [4, 8], kernel: 5 }\n",
            "task: regression\ndata: { dataset: 'x*', label: y, split: { valid: 0.3, seed: 0 }, shuffle: 3, features: [a] }\nmodel: { kind: linear }\n",
            "task: language_model\ndata: { dataset: d, text: { context: 9 } }\nmodel: { kind: transformer, heads: 1 }\n",
            "model: { kind: noop, x: -1.5e-7, sleep: 1.5s }\n",
            "trials: external\n",
        ]),
        optimizer in one_of(&["", "optimizer: { kind: sgd, nesterov: true, lr: 0.123456789012345678 }\n", "optimizer: { clip_norm: none, betas: [0, 0.5], eps: 1e-10 }\n"]),
        schedule in one_of(&["", "schedule: { kind: step, every: 2, factor: 0.3 }\n", "schedule: { kind: constant, warmup: 0 }\n"]),
        train in one_of(&["", "train: { epochs: 30, device: cpu, evaluate: 20 steps, seed: 9223372036854775807 }\n", "train: { epochs: 9, evaluate: never, virtual_shards: 4, log_every: 1 }\n"]),
        search in one_of(&[
            "",
            "search: { limit: { time: 90m }, objective: { metric: valid.loss, stop_at: -1e300 }, parameters: { optimizer.lr: { min: 1e-300, max: 1 } } }\n",
            "search: { sampler: { kind: grid, seed: 5 }, parameters: { train.seed: { values: [3, 1, 2] }, schedule.kind: { values: [step, cosine] }, schedule.factor: { values: [0.5], when: { schedule.kind: step } } } }\n",
            "search: { sampler: { kind: cmaes }, limit: { trials: 7 }, scheduler: { kind: median, startup: 2 }, parameters: { optimizer.weight_decay: { values: [0, 0.5], ordered: false } } }\n",
            "search: { objective: { goal: maximize }, limit: { trials: 7 }, scheduler: { kind: hyperband, max: 9, eta: 2 }, parameters: { a: { min: 0.0, max: 1 } } }\n",
            "search: { sampler: { kind: tpe }, limit: { trials: 7 }, scheduler: { kind: bohb, min: 2, max: 9, eta: 4 }, parameters: { a: { min: 0.0, max: 1 } } }\n",
            "search: { objective: { goal: maximize }, limit: { trials: 7 }, scheduler: { kind: pasha, min: 2, max: 9 }, parameters: { a: { min: 0.0, max: 1 } } }\n",
            "search: { objective: { goal: maximize }, limit: { trials: 7 }, scheduler: { kind: wilcoxon, threshold: 0.05, startup: 4 }, parameters: { a: { min: 0.0, max: 1 } } }\n",
            "search: { limit: { trials: 40 }, scheduler: { kind: pbt, population: 8, interval: 3, quantile: 0.5, resample: 0, perturb: 0.1 }, parameters: { optimizer.lr: { min: 0.001, max: 0.1, log: true }, train.seed: { values: [1, 2] } } }\n",
            "search: { limit: { trials: 7 }, scheduler: { kind: plateau, patience: 3, delta: 1e-3 }, parameters: { optimizer.weight_decay: { values: [0, 0.5] } } }\n",
            "search: { objective: { goal: maximize }, limit: { trials: 7 }, scheduler: { kind: asha, max: 9 }, parameters: { 'a b: #': { values: [no, '1', 1.0, ~x] }, b: { min: -3.0, max: 1, when: { 'a b: #': ['no', 1] } } } }\n",
        ]),
        rest in one_of(&["", "resources: { gpu: 0, priority: -5, memory: 1.5GiB, labels: { zone: 'yes', n: 007 } }\nlimits: { time: 1d, no_progress: none }\n", "tracking: { experiment: '- x', tags: { a: 'true', 'b c': '~', d: '' , e: '1e3' } }\nretry: { lost: 0 }\ncheckpoint: { every: never, keep: { best: 0 } }\n"]),
    ) -> String {
        format!("{HEAD}{head}{optimizer}{schedule}{train}{search}{rest}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resolved_text_reads_back(text in random_spec()) {
        match check(text.as_bytes(), &[]) {
            Ok(spec) => check_round_trip(&spec),
            // A few combinations clash; each problem still has its place.
            Err(problems) => prop_assert!(problems.iter().all(|problem| problem.line > 0)),
        }
    }

    #[test]
    fn damaged_text_is_refused_or_read_and_never_panics(
        text in random_spec(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            if byte < 128 { bytes[at] = byte; } else { bytes.remove(at); }
        }
        match check(&bytes, &[]) {
            Ok(spec) => check_round_trip(&spec),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                let _ = render_problems(&problems, "x", &bytes);
            }
        }
    }
}
