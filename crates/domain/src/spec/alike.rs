//! Which values of a list are alike: `ordered`, or `distance` in rows of numbers.

use bonfire_search::{APART_MAX, Alike};

use super::problem::Sink;
use super::shape::{Datum, Shape};
use super::space::read_flag;
use super::tree::Entry;

const DISTANCE: Shape = Shape::Real {
    min: f64::MIN,
    above: false,
    max: f64::MAX,
    below: false,
};
const ROW: Shape = Shape::List {
    of: &DISTANCE,
    min: 1,
    max: APART_MAX,
};
const ROWS: Shape = Shape::List {
    of: &ROW,
    min: 1,
    max: APART_MAX,
};

/// - `path`: of the parameter.
/// - `numbers`: whether all values are, which are ordered if nothing else is said.
pub(super) fn read(entry: &Entry, path: &str, numbers: bool, sink: &mut Sink) -> Option<Alike> {
    let Some(distance) = entry.value.get("distance") else {
        let ordered = read_flag(entry, "ordered", numbers, sink)?;
        return Some(Alike::neighbours(ordered));
    };
    if read_flag(entry, "ordered", false, sink)? {
        let message = "ordered says which values are alike, and so does distance: one or the other";
        sink.push(distance.at, path, message);
        return None;
    }
    let path = format!("{path}.distance");
    let Datum::List(rows) = ROWS.read(&distance.value, &path, sink)? else {
        return None;
    };
    let row = |row: &Datum| match row {
        Datum::List(row) => Some(row.iter().map(Datum::real).collect()),
        _ => None,
    };
    Some(Alike::Apart(rows.iter().map(row).collect::<Option<_>>()?))
}
