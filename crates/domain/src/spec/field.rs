//! The table of a spec's fields: one row says a field's path, its shape, when it exists, and how to read and write it.
//! `check`, a trial's values, the resolved text and the JSON schema all walk this table, so they cannot disagree.

use super::Spec;
use super::fields;
use super::shape::{Datum, Shape};
use super::suggest;

/// One row.
pub(super) struct Field {
    /// Dotted.
    pub(super) path: &'static str,
    pub(super) shape: Shape,
    pub(super) doc: &'static str,
    /// The values of [`kind_path`] under which the field exists; empty: always.
    pub(super) kinds: &'static [&'static str],
    pub(super) required: bool,
    /// Whether trials of one sweep may differ in it.
    pub(super) searchable: bool,
    pub(super) get: fn(&Spec) -> Datum,
    pub(super) set: fn(&mut Spec, Datum),
}

impl Field {
    pub(super) const fn new(
        path: &'static str,
        shape: Shape,
        doc: &'static str,
        get: fn(&Spec) -> Datum,
        set: fn(&mut Spec, Datum),
    ) -> Field {
        Field {
            path,
            shape,
            doc,
            kinds: &[],
            required: false,
            searchable: false,
            get,
            set,
        }
    }

    /// A key of the product that this version does not know.
    pub(super) const fn later(path: &'static str) -> Field {
        Field::new(
            path,
            Shape::Later,
            "not in this version",
            |_| Datum::Absent,
            |_, _| {},
        )
    }

    /// A key with one possible value in this version.
    pub(super) const fn only(path: &'static str, value: &'static str, doc: &'static str) -> Field {
        Field::new(path, Shape::Only(value), doc, |_| Datum::Absent, |_, _| {})
    }

    pub(super) const fn of(mut self, kinds: &'static [&'static str]) -> Field {
        self.kinds = kinds;
        self
    }

    pub(super) const fn required(mut self) -> Field {
        self.required = true;
        self
    }

    pub(super) const fn searched(mut self) -> Field {
        self.searchable = true;
        self
    }

    /// Whether the field exists where `kind` is its group's kind.
    pub(super) fn exists_for(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// The last part of the path.
    pub(super) fn key(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path without its last part.
    pub(super) fn group(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(group, _)| group)
    }
}

/// All rows, in the order in which they are read and printed.
pub(super) fn all() -> impl Iterator<Item = &'static Field> {
    fields::TABLES.iter().flat_map(|table| table.iter())
}

/// The rows of a path: more than one where models of different kinds use one word differently.
pub(super) fn at(path: &str) -> impl Iterator<Item = &'static Field> {
    all().filter(move |field| field.path == path)
}

/// Whether `path` is a map of fields.
pub(super) fn is_group(path: &str) -> bool {
    all().any(|field| {
        field
            .path
            .strip_prefix(path)
            .is_some_and(|rest| path.is_empty() || rest.starts_with('.'))
    })
}

/// The keys a group may hold, each once.
pub(super) fn keys_of(group: &str) -> Vec<&'static str> {
    let mut keys = Vec::new();
    for field in all() {
        let rest = match group {
            "" => Some(field.path),
            _ => field
                .path
                .strip_prefix(group)
                .and_then(|rest| rest.strip_prefix('.')),
        };
        let key = rest.and_then(|rest| rest.split('.').next());
        if let Some(key) = key.filter(|key| !keys.contains(key)) {
            keys.push(key);
        }
    }
    keys
}

/// The groups whose fields depend on a kind.
pub(super) const KIND_GROUPS: [&str; 5] = [
    "model",
    "optimizer",
    "schedule",
    "search.sampler",
    "search.scheduler",
];

/// The kind that decides whether a field of `group` exists; empty where there is none.
pub(super) fn kind_in(spec: &Spec, group: &str) -> String {
    if !KIND_GROUPS.contains(&group) {
        return String::new();
    }
    at(&format!("{group}.kind"))
        .next()
        .map_or_else(String::new, |field| {
            let datum = (field.get)(spec);
            datum.text().to_owned()
        })
}

/// A parameter's name: a field's path, and an entry of it where the field is a list.
pub(super) fn split_index(name: &str) -> Option<(&str, Option<usize>)> {
    match name.strip_suffix(']') {
        None => Some((name, None)),
        Some(rest) => {
            let (path, index) = rest.rsplit_once('[')?;
            let digits = index.bytes().all(|b| b.is_ascii_digit());
            // One way to write each, so that no field has two names.
            let plain = digits && (index == "0" || !index.starts_with('0'));
            index
                .parse()
                .ok()
                .filter(|_| plain)
                .map(|index| (path, Some(index)))
        }
    }
}

/// A hint for a path nobody knows: a slip in its last part, or the same word elsewhere.
pub(super) fn suggest_path(path: &str) -> String {
    let (group, key) = path.rsplit_once('.').unwrap_or(("", path));
    let siblings = keys_of(group);
    if let Some(found) = suggest::nearest(key, siblings.iter().copied()) {
        let found = if group.is_empty() {
            found.into()
        } else {
            format!("{group}.{found}")
        };
        return format!("; did you mean {found}?");
    }
    let built = || all().filter(|field| !matches!(field.shape, Shape::Later));
    let mut elsewhere: Vec<&str> = built()
        .filter(|field| field.key() == key)
        .map(|field| field.path)
        .collect();
    elsewhere.dedup();
    match elsewhere.as_slice() {
        [only] => format!("; did you mean {only}?"),
        _ => {
            // A slip in the group: its key must be near too.
            let near = |field: &&Field| {
                suggest::nearest(group, [field.group()]).is_some()
                    && suggest::nearest(key, [field.key()]).is_some()
            };
            let found = built().find(near);
            found.map_or_else(String::new, |field| {
                format!("; did you mean {}?", field.path)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_field_or_a_group_and_never_both() {
        for field in all() {
            assert!(!is_group(field.path), "{}", field.path);
            assert!(!field.doc.is_empty(), "{}", field.path);
        }
        assert!(is_group("data.split") && is_group("") && !is_group("data.spli"));
        assert_eq!(keys_of("data.split"), ["train", "valid", "seed"]);
    }

    #[test]
    fn two_rows_of_a_path_never_exist_together() {
        for a in all() {
            for b in at(a.path).filter(|b| !std::ptr::eq(a, *b)) {
                assert!(a.kinds.iter().all(|kind| !b.exists_for(kind)), "{}", a.path);
            }
        }
    }

    #[test]
    fn names_with_an_index_are_taken_apart() {
        assert_eq!(
            split_index("model.hidden[12]"),
            Some(("model.hidden", Some(12)))
        );
        assert_eq!(split_index("optimizer.lr"), Some(("optimizer.lr", None)));
        for bad in [
            "model.hidden[]",
            "model.hidden[x]",
            "model]",
            "model.hidden[-1]",
            "model.hidden[+1]",
            "model.hidden[01]",
            "model.hidden[00]",
        ] {
            assert_eq!(split_index(bad), None, "{bad}");
        }
    }

    #[test]
    fn hints_look_beside_and_elsewhere() {
        assert_eq!(suggest_path("optimizer.Lr"), "; did you mean optimizer.lr?");
        assert_eq!(
            suggest_path("momentum"),
            "; did you mean optimizer.momentum?"
        );
        assert_eq!(suggest_path("optimiser.lr"), "; did you mean optimizer.lr?");
        assert_eq!(suggest_path("xyzzy"), "");
    }
}
