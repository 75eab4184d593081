//! The JSON schema of a spec, for editors: assembled from the table of fields, so it says what `check` takes.

use serde_json::{Map, Value as Json, json};

use super::field::{self, Field};
use super::shape::Shape;
use super::tree::TEXT_BYTES_MAX;

/// The JSON schema (draft 2020-12) of a kind of spec; `None` for a kind that this version does not know.
///
/// It is the shape of a file: keys, types and bounds. Rules between fields are for `check`.
pub fn json_schema(kind: &str) -> Option<Json> {
    if kind != "sweep" {
        return None;
    }
    let mut schema = group_json("");
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bonfire sweep",
        "description": format!("a sweep of trials, or a single trial without search; at most {TEXT_BYTES_MAX} bytes"),
    });
    if let (Json::Object(schema), Json::Object(head)) = (&mut schema, head) {
        for (key, value) in head.into_iter().chain(by_trials()) {
            schema.insert(key, value);
        }
    }
    Some(schema)
}

/// What differs with `trials: external`.
fn by_trials() -> Map<String, Json> {
    let search = |rules: Json| json!({ "search": rules });
    let mut rules = Map::new();
    rules.insert("if".into(), json!({ "required": ["trials"] }));
    let either = [
        json!({ "required": ["objective"] }),
        json!({ "required": ["objectives"] }),
    ];
    let then = search(json!({ "anyOf": either }));
    rules.insert(
        "then".into(),
        json!({ "required": ["search"], "properties": then }),
    );
    let names = json!({ "parameters": { "propertyNames": { "pattern": names_pattern() } } });
    let otherwise = search(json!({ "properties": names }));
    rules.insert(
        "else".into(),
        json!({ "required": ["model"], "properties": otherwise }),
    );
    rules
}

/// The parameters that trials of the fleet may differ in.
fn names_pattern() -> String {
    let mut names: Vec<&str> = field::all()
        .filter(|field| field.searchable)
        .map(|field| field.path)
        .collect();
    names.dedup();
    format!("^({})(\\[[0-9]+\\])?$", names.join("|").replace('.', "\\."))
}

fn group_json(group: &str) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in field::keys_of(group) {
        let path = if group.is_empty() {
            key.to_owned()
        } else {
            format!("{group}.{key}")
        };
        let rows: Vec<&Field> = field::at(&path)
            .filter(|field| !matches!(field.shape, Shape::Later))
            .collect();
        let value = match rows.as_slice() {
            [] if field::is_group(&path) => group_json(&path),
            [] => continue,
            [only] => field_json(only),
            several => {
                json!({ "anyOf": several.iter().map(|field| field_json(field)).collect::<Vec<_>>() })
            }
        };
        properties.insert(key.to_owned(), value);
        if rows.iter().any(|field| field.required) {
            required.push(key);
        }
    }
    if group == "search" {
        required.push("parameters");
    }
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn field_json(field: &Field) -> Json {
    let mut schema = shape_json(&field.shape);
    let doc = match field.kinds {
        [] => field.doc.to_owned(),
        kinds => format!("{} ({})", field.doc, kinds.join(", ")),
    };
    schema["description"] = Json::from(doc);
    schema
}

fn shape_json(shape: &Shape) -> Json {
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole { min, max } if min == max => json!({ "const": min }),
        Shape::Whole { min, max: i64::MAX } => json!({ "type": "integer", "minimum": min }),
        Shape::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Real {
            min,
            above,
            max,
            below,
        } => {
            let mut schema = json!({ "type": "number" });
            if *min > f64::MIN {
                schema[if *above {
                    "exclusiveMinimum"
                } else {
                    "minimum"
                }] = json!(min);
            }
            if *max < f64::MAX {
                schema[if *below {
                    "exclusiveMaximum"
                } else {
                    "maximum"
                }] = json!(max);
            }
            schema
        }
        Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::Name => {
            json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" })
        }
        Shape::Loose | Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Choice { words, .. } => json!({ "enum": words }),
        Shape::Duration { .. } => {
            json!({ "type": "string", "pattern": "^[0-9.]+ *(ms|s|m|h|d)$" })
        }
        Shape::Bytes => json!({ "type": ["string", "integer"] }),
        Shape::Period { never: true } => {
            json!({ "type": "string", "pattern": "^(never|[0-9]+ +(epochs?|steps?))$" })
        }
        Shape::Period { never: false } => {
            json!({ "type": "string", "pattern": "^[0-9]+ +(epochs?|steps?)$" })
        }
        Shape::Device => json!({ "type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$" }),
        Shape::Or("none", inner) => {
            json!({ "anyOf": [{ "enum": ["none", null] }, shape_json(inner)] })
        }
        Shape::Or(word, inner) => json!({ "anyOf": [{ "const": word }, shape_json(inner)] }),
        Shape::List { of, min, max } => {
            json!({ "type": "array", "items": shape_json(of), "minItems": min, "maxItems": max })
        }
        Shape::Map { of } => json!({ "type": "object", "additionalProperties": shape_json(of) }),
        Shape::Only("false") => json!({ "const": false }),
        Shape::Only(text) => match text.parse::<i64>() {
            Ok(number) => json!({ "const": number }),
            Err(_) => json!({ "const": text }),
        },
        Shape::Parameters => parameters_json(),
        Shape::Later => json!(false),
    }
}

fn parameters_json() -> Json {
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {
            "type": "object",
            "properties": {
                "min": { "type": "number" },
                "max": { "type": "number" },
                "log": { "type": "boolean", "description": "equal chances for equal ratios" },
                "values": { "type": "array", "items": scalar, "minItems": 1 },
                "ordered": { "type": "boolean", "description": "neighbours in values are alike" },
                "distance": {
                    "type": "array",
                    "items": { "type": "array", "items": { "type": "number", "minimum": 0 } },
                    "description": "how far values are apart: a row a value, the same there and back, 0 to itself",
                },
                "when": {
                    "type": "object",
                    "description": "the parameter exists where each of these has that value, or one of those",
                    "additionalProperties": { "anyOf": [scalar, { "type": "array", "items": scalar }] },
                },
            },
            "additionalProperties": false,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    /// Paths of the leaves: whatever is not a map of fixed keys.
    fn leaves(schema: &Json, path: &str, found: &mut BTreeSet<String>) {
        match schema["properties"].as_object() {
            Some(properties) => {
                assert_eq!(schema["additionalProperties"], json!(false), "{path}");
                for (key, inner) in properties {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    leaves(inner, &path, found);
                }
            }
            None => drop(found.insert(path.to_owned())),
        }
    }

    #[test]
    fn the_schema_has_the_keys_that_check_takes_and_no_other() {
        let mut found = BTreeSet::new();
        leaves(&json_schema("sweep").unwrap(), "", &mut found);
        let taken: BTreeSet<String> = field::all()
            .filter(|field| !matches!(field.shape, Shape::Later))
            .map(|field| field.path.to_owned())
            .collect();
        assert_eq!(found, taken);
    }

    #[test]
    fn each_leaf_says_what_it_is() {
        let schema = json_schema("sweep").unwrap();
        assert_eq!(schema["required"], json!(["kind", "version", "name"]));
        assert_eq!(schema["else"]["required"], json!(["model"]));
        let lr = &schema["properties"]["optimizer"]["properties"]["lr"];
        assert_eq!(lr["exclusiveMinimum"], json!(0.0));
        assert_eq!(lr["description"], json!("learning rate after the warm-up"));
        let hidden = &schema["properties"]["model"]["properties"]["hidden"]["anyOf"];
        assert_eq!(hidden[0]["type"], json!("array"));
        assert_eq!(hidden[1]["type"], json!("integer"));
        assert_eq!(json_schema("dataset"), None);
    }
}
