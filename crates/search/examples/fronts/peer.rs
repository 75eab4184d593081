//! Optuna's samplers on the same functions: a child process that suggests, in lines of JSON over its pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bonfire_search::{Assignment, Parameter, Range, Value};
use serde_json::json;

use crate::tasks::Task;

/// A study of Optuna.
pub struct Peer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    parameters: Vec<Parameter>,
}

impl Peer {
    /// `sampler`: `nsga2`, `tpe` or `gp`. The interpreter is the one that `PYTHON` names, which must find Optuna.
    pub fn start(task: &Task, sampler: &str, seed: u64) -> Peer {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/fronts/optuna_study.py"
        );
        let seed = seed.to_string();
        let mut child = Command::new(python)
            .args([script, sampler, &seed])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let parameters = task.space.parameters().to_vec();
        let written: Vec<serde_json::Value> = parameters.iter().map(written).collect();
        let objectives = task.reference.len();
        let study = json!({ "parameters": written, "objectives": objectives });
        writeln!(stdin, "{study}").unwrap();
        Peer {
            child,
            stdin,
            stdout,
            parameters,
        }
    }

    pub fn suggest(&mut self) -> Assignment {
        writeln!(self.stdin, "{{}}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let point: serde_json::Value = serde_json::from_str(&line).unwrap();
        let given = self.parameters.iter().filter_map(|parameter| {
            let value = match (&parameter.range, point.get(&parameter.name)?) {
                (Range::Real { .. }, value) => Value::Real(value.as_f64().unwrap()),
                (Range::Integer { .. }, value) => Value::Int(value.as_i64().unwrap()),
                (Range::Choice { .. }, value) => Value::Text(value.as_str().unwrap().into()),
            };
            Some((parameter.name.clone(), value))
        });
        given.collect()
    }

    pub fn tell(&mut self, number: u32, values: &[f64]) {
        let told = json!({ "number": number, "values": values });
        writeln!(self.stdin, "{told}").unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A parameter as the script reads it.
fn written(parameter: &Parameter) -> serde_json::Value {
    let word = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no word"),
    };
    let mut written = match &parameter.range {
        Range::Real { min, max, log } => {
            json!({ "kind": "real", "min": min, "max": max, "log": log })
        }
        Range::Integer { min, max, log } => {
            json!({ "kind": "integer", "min": min, "max": max, "log": log })
        }
        Range::Choice { values, .. } => {
            let values: Vec<String> = values.iter().map(word).collect();
            json!({ "kind": "choice", "values": values })
        }
    };
    written["name"] = json!(parameter.name);
    let when = parameter.when.iter().map(|condition| {
        let any_of: Vec<String> = condition.any_of.iter().map(word).collect();
        json!({ "parameter": condition.parameter, "any_of": any_of })
    });
    written["when"] = when.collect();
    written
}
