//! A field's value between the table of fields and whatever it came from or goes to.

use std::collections::BTreeMap;

use super::Period;

/// A field's value, whatever its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum {
    /// Not set, and not printed.
    Absent,
    /// The word of [`Shape::Or`].
    Word,
    Flag(bool),
    Whole(i64),
    Real(f64),
    Text(String),
    Period(Period),
    List(Vec<Datum>),
    Map(BTreeMap<String, Datum>),
}

impl Datum {
    /// Takes apart what a shape has checked; anything else gives the type's zero.
    pub(super) fn flag(&self) -> bool {
        matches!(self, Datum::Flag(true))
    }

    pub(super) fn whole(&self) -> i64 {
        match self {
            Datum::Whole(value) => *value,
            _ => 0,
        }
    }

    /// Shapes keep whole numbers in the range of the field they are for.
    pub(super) fn u32(&self) -> u32 {
        u32::try_from(self.whole()).unwrap_or(0)
    }

    pub(super) fn u64(&self) -> u64 {
        u64::try_from(self.whole()).unwrap_or(0)
    }

    /// `None` for the word of [`Shape::Or`].
    pub(super) fn u64_or_none(&self) -> Option<u64> {
        matches!(self, Datum::Whole(_)).then(|| self.u64())
    }

    pub(super) fn real(&self) -> f64 {
        match self {
            Datum::Real(value) => *value,
            _ => 0.0,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Datum::Text(value) => value,
            _ => "",
        }
    }

    pub(super) fn period(&self) -> Period {
        match self {
            Datum::Period(value) => *value,
            _ => Period::Never,
        }
    }

    pub(super) fn list(&self) -> &[Datum] {
        match self {
            Datum::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.list()
            .iter()
            .map(|item| item.text().to_owned())
            .collect()
    }

    pub(super) fn u32s(&self) -> Vec<u32> {
        self.list().iter().map(Datum::u32).collect()
    }

    pub(super) fn map(&self) -> BTreeMap<String, Datum> {
        match self {
            Datum::Map(map) => map.clone(),
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn text_map(&self) -> BTreeMap<String, String> {
        self.map()
            .into_iter()
            .map(|(key, value)| (key, value.text().to_owned()))
            .collect()
    }

    pub(super) fn of_texts(texts: &[String]) -> Datum {
        Datum::List(texts.iter().map(|text| Datum::Text(text.clone())).collect())
    }

    pub(super) fn of_u32s(values: &[u32]) -> Datum {
        Datum::List(
            values
                .iter()
                .map(|value| Datum::Whole((*value).into()))
                .collect(),
        )
    }

    pub(super) fn of_text_map(map: &BTreeMap<String, String>) -> Datum {
        Datum::Map(
            map.iter()
                .map(|(k, v)| (k.clone(), Datum::Text(v.clone())))
                .collect(),
        )
    }

    /// A count that fits, as a datum.
    pub(super) fn of_u64(value: u64) -> Datum {
        Datum::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// [`Datum::Word`] for none.
    pub(super) fn or_word(value: Option<Datum>) -> Datum {
        value.unwrap_or(Datum::Word)
    }
}
