//! The spec as text again, with everything that was left out filled in; `check` reads it back to the same spec.

use bonfire_search::{Alike, Parameter, Range, Value};
use serde_json::{Map, Value as Json};

use super::field::{self, Field};
use super::shape::{Datum, Shape};
use super::{Spec, external, units};
use crate::id::Digest;

impl Spec {
    /// The spec's name among all specs: BLAKE3 of its canonical text.
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical().as_bytes())
    }

    /// The spec with every default filled in, in the form of a file.
    pub fn resolved(&self) -> Json {
        let mut root = Map::new();
        for field in field::all().filter(|field| self.has(field)) {
            let datum = match field.shape {
                Shape::Only(text) => Some(Json::String(text.into())),
                Shape::Parameters => self.search.as_ref().map(|search| {
                    let parameters = search.space.parameters().iter();
                    Json::Object(
                        parameters
                            .map(|p| (p.name.clone(), parameter_json(p)))
                            .collect(),
                    )
                }),
                shape => json_of(&shape, &(field.get)(self)),
            };
            // `1` and `false` are written bare.
            let datum = datum.map(|datum| match (&field.shape, datum.as_str()) {
                (Shape::Only(_), Some("false")) => Json::Bool(false),
                (Shape::Only(_), Some(text)) => text.parse::<i64>().map_or(datum, Json::from),
                _ => datum,
            });
            if let Some(datum) = datum {
                insert(&mut root, field.path, datum);
            }
        }
        Json::Object(root)
    }

    /// [`Spec::resolved`] as YAML.
    pub fn resolved_yaml(&self) -> String {
        serde_saphyr::to_string(&self.resolved()).unwrap_or_default()
    }

    /// Whether a field exists under the kinds of this spec or of a trial of it.
    fn has(&self, field: &Field) -> bool {
        let idle = self.is_external() && !external::has(field.path);
        if idle || matches!(field.shape, Shape::Later) {
            return false;
        }
        if field.kinds.is_empty() || field.exists_for(&field::kind_in(self, field.group())) {
            return true;
        }
        let path = format!("{}.kind", field.group());
        let parameters = self
            .search
            .as_ref()
            .map_or(&[][..], |search| search.space.parameters());
        parameters
            .iter()
            .filter(|parameter| parameter.name == path)
            .any(|parameter| {
                let Range::Choice { values, .. } = &parameter.range else {
                    return false;
                };
                values
                    .iter()
                    .any(|value| matches!(value, Value::Text(kind) if field.exists_for(kind)))
            })
    }
}

fn insert(root: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => drop(root.insert(path.to_owned(), value)),
        Some((key, rest)) => {
            let inner = root.entry(key).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// A datum as a spec has it; `None` where there is nothing to write.
fn json_of(shape: &Shape, datum: &Datum) -> Option<Json> {
    Some(match (shape, datum) {
        (_, Datum::Absent) => return None,
        (Shape::Or(word, _), Datum::Word) => Json::from(*word),
        (Shape::Or(_, inner), datum) => return json_of(inner, datum),
        (Shape::Duration { .. }, Datum::Whole(ms)) => {
            Json::from(units::duration_text(u64::try_from(*ms).unwrap_or(0)))
        }
        (Shape::Bytes, Datum::Whole(bytes)) => {
            Json::from(units::bytes_text(u64::try_from(*bytes).unwrap_or(0)))
        }
        (Shape::List { of, .. }, Datum::List(items)) => {
            Json::Array(items.iter().filter_map(|item| json_of(of, item)).collect())
        }
        (Shape::Map { of }, Datum::Map(map)) => {
            let entries = map
                .iter()
                .filter_map(|(k, v)| Some((k.clone(), json_of(of, v)?)));
            Json::Object(entries.collect())
        }
        (_, Datum::Flag(value)) => Json::from(*value),
        (_, Datum::Whole(value)) => Json::from(*value),
        (_, Datum::Real(value)) => real_json(*value),
        (_, Datum::Text(value)) => Json::from(value.clone()),
        (_, Datum::Period(value)) => Json::from(units::period_text(*value)),
        (_, Datum::Word | Datum::List(_) | Datum::Map(_)) => return None,
    })
}

fn real_json(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number)
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::Real(value) => real_json(*value),
        Value::Text(value) => Json::from(value.clone()),
    }
}

fn parameter_json(parameter: &Parameter) -> Json {
    let mut map = Map::new();
    match &parameter.range {
        Range::Real { min, max, log } => {
            map.insert("min".into(), real_json(*min));
            map.insert("max".into(), real_json(*max));
            map.insert("log".into(), Json::from(*log));
        }
        Range::Integer { min, max, log } => {
            map.insert("min".into(), Json::from(*min));
            map.insert("max".into(), Json::from(*max));
            map.insert("log".into(), Json::from(*log));
        }
        Range::Choice { values, alike } => {
            map.insert(
                "values".into(),
                Json::Array(values.iter().map(value_json).collect()),
            );
            if let Alike::Apart(rows) = alike {
                let row = |row: &Vec<f64>| -> Json { row.iter().copied().map(real_json).collect() };
                map.insert("distance".into(), rows.iter().map(row).collect());
            } else {
                let ordered = *alike == Alike::Neighbours;
                map.insert("ordered".into(), Json::from(ordered));
            }
        }
    }
    if !parameter.when.is_empty() {
        let conditions = parameter.when.iter().map(|condition| {
            let values = condition.any_of.iter().map(value_json).collect();
            (condition.parameter.clone(), Json::Array(values))
        });
        map.insert("when".into(), Json::Object(conditions.collect()));
    }
    Json::Object(map)
}
