//! One canonical binary tree over the virtual shard ids, and the sums along it.
//!
//! `sum(lo..hi) = sum(lo..mid) + sum(mid..hi)` with `mid = lo + (hi - lo) / 2`; a shard that has no samples is absent, not
//! a zero. A subtree can be summed wherever its shards are and handed over as one part: the additions stay the same.

use std::collections::BTreeMap;
use std::ops::Range;

/// What goes up the tree. `absorb` must be a function of the two values alone.
pub trait Part: Sized {
    /// Adds the part on the right to this one, which is on the left.
    ///
    /// # Errors
    /// [`ReduceError::Length`] if the two do not describe the same parameters.
    fn absorb(&mut self, right: Self) -> Result<(), ReduceError>;
}

/// A flat gradient, shape `[parameters]`.
impl Part for Vec<f32> {
    fn absorb(&mut self, right: Vec<f32>) -> Result<(), ReduceError> {
        if self.len() != right.len() {
            return Err(ReduceError::Length {
                left: self.len(),
                right: right.len(),
            });
        }
        for (left, right) in self.iter_mut().zip(&right) {
            *left += right;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReduceError {
    #[error("a tree needs at least one virtual shard")]
    NoShards,
    #[error("virtual shards {start}..{end} are no node of the tree over {shards}")]
    NoSuchNode { start: u32, end: u32, shards: u32 },
    #[error("virtual shards {start}..{end} were given twice")]
    Twice { start: u32, end: u32 },
    #[error("a part of {left} values cannot be added to one of {right}")]
    Length { left: usize, right: usize },
}

/// Sums in progress over `shards` virtual shards. Parts come in any order; two that make a whole subtree are added at
/// once, so parts in the order of their ids need memory for `log2(shards)` of them.
#[derive(Debug)]
pub struct Tree<P> {
    shards: u32,
    /// Disjoint nodes by (start, end).
    nodes: BTreeMap<(u32, u32), P>,
}

impl<P: Part> Tree<P> {
    /// # Errors
    /// [`ReduceError::NoShards`] for a tree without leaves.
    pub fn new(shards: u32) -> Result<Tree<P>, ReduceError> {
        if shards == 0 {
            return Err(ReduceError::NoShards);
        }
        let nodes = BTreeMap::new();
        Ok(Tree { shards, nodes })
    }

    /// Adds one virtual shard.
    ///
    /// # Errors
    /// As [`Tree::add_node`].
    pub fn add(&mut self, shard: u32, part: P) -> Result<(), ReduceError> {
        self.add_node(shard..shard.saturating_add(1), part)
    }

    /// Adds the sum of a whole subtree, as another tree's [`Tree::into_nodes`] gave it.
    ///
    /// # Errors
    /// [`ReduceError::NoSuchNode`], [`ReduceError::Twice`] or [`ReduceError::Length`]; the tree is of no use afterwards.
    pub fn add_node(&mut self, node: Range<u32>, part: P) -> Result<(), ReduceError> {
        let (start, end) = (node.start, node.end);
        let path = path_to(self.shards, &node)?;
        let overlaps = self.nodes.range(..(end, 0)).next_back();
        if overlaps.is_some_and(|((_, other), _)| *other > start) {
            return Err(ReduceError::Twice { start, end });
        }
        let (mut at, mut part) = ((start, end), part);
        // The root comes first on the path, so parents are met from the back.
        for parent in path.into_iter().rev() {
            let middle = middle(parent.0, parent.1);
            if at.0 == parent.0 {
                let Some(right) = self.nodes.remove(&(middle, parent.1)) else {
                    break;
                };
                part.absorb(right)?;
            } else {
                let Some(mut left) = self.nodes.remove(&(parent.0, middle)) else {
                    break;
                };
                left.absorb(part)?;
                part = left;
            }
            at = parent;
        }
        self.nodes.insert(at, part);
        Ok(())
    }

    /// The sums made so far, for another tree to go on with.
    pub fn into_nodes(self) -> Vec<(Range<u32>, P)> {
        self.nodes
            .into_iter()
            .map(|((start, end), part)| (start..end, part))
            .collect()
    }

    /// The sum of everything given; what was not given is absent. `None` if nothing was.
    ///
    /// # Errors
    /// [`ReduceError::Length`] if parts differ in length.
    pub fn finish(mut self) -> Result<Option<P>, ReduceError> {
        self.sum(0, self.shards)
    }

    fn sum(&mut self, start: u32, end: u32) -> Result<Option<P>, ReduceError> {
        if let Some(part) = self.nodes.remove(&(start, end)) {
            return Ok(Some(part));
        }
        if end - start == 1 || self.nodes.is_empty() {
            return Ok(None);
        }
        let middle = middle(start, end);
        let (left, right) = (self.sum(start, middle)?, self.sum(middle, end)?);
        Ok(match (left, right) {
            (Some(mut left), Some(right)) => {
                left.absorb(right)?;
                Some(left)
            }
            (left, right) => left.or(right),
        })
    }
}

fn middle(start: u32, end: u32) -> u32 {
    start + (end - start) / 2
}

/// The ancestors of a node from the root down, without the node itself.
fn path_to(shards: u32, node: &Range<u32>) -> Result<Vec<(u32, u32)>, ReduceError> {
    let (mut start, mut end) = (0, shards);
    let mut path = Vec::new();
    while (start, end) != (node.start, node.end) {
        let middle = middle(start, end);
        path.push((start, end));
        if end - start > 1 && node.start >= start && node.end <= middle && !node.is_empty() {
            end = middle;
        } else if end - start > 1 && node.start >= middle && node.end <= end && !node.is_empty() {
            start = middle;
        } else {
            return Err(ReduceError::NoSuchNode {
                start: node.start,
                end: node.end,
                shards,
            });
        }
    }
    Ok(path)
}

/// Adds the flat gradients of virtual shards along the canonical tree.
///
/// - `parts[i]`: (virtual shard, flat gradient of shape `[parameters]`), in any order; shards left out are absent.
/// - `shards`: V, how many virtual shards the step has.
/// - Returns shape `[parameters]`; empty if there are no parts.
///
/// # Errors
/// [`ReduceError`]: a shard out of range or given twice, or lengths that differ.
pub fn reduce_tree(parts: Vec<(u32, Vec<f32>)>, shards: u32) -> Result<Vec<f32>, ReduceError> {
    let mut tree = Tree::new(shards)?;
    for (shard, part) in parts {
        tree.add(shard, part)?;
    }
    Ok(tree.finish()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// A part that writes the additions down.
    impl Part for String {
        fn absorb(&mut self, right: String) -> Result<(), ReduceError> {
            *self = format!("({self}+{right})");
            Ok(())
        }
    }

    #[track_caller]
    fn check(shards: u32, given: &[u32], expected: &str) {
        let mut tree = Tree::new(shards).unwrap();
        for shard in given {
            tree.add(*shard, shard.to_string()).unwrap();
        }
        let sum = tree.finish().unwrap().unwrap_or_default();
        assert_eq!(sum, expected, "{shards} shards, given {given:?}");
    }

    #[test]
    fn the_tree_is_canonical() {
        check(1, &[0], "0");
        check(4, &[0, 1, 2, 3], "((0+1)+(2+3))");
        check(4, &[3, 1, 0, 2], "((0+1)+(2+3))");
        check(3, &[2, 1, 0], "(0+(1+2))");
        check(5, &[0, 1, 2, 3, 4], "((0+1)+(2+(3+4)))");
    }

    #[test]
    fn an_empty_shard_is_absent() {
        check(4, &[0, 1, 3], "((0+1)+3)");
        check(4, &[3], "3");
        check(8, &[7, 2, 0], "((0+2)+7)");
        check(4, &[], "");
    }

    #[track_caller]
    fn check_refused(shards: u32, given: &[(u32, u32)], expected: ReduceError) {
        let refused = Tree::new(shards).and_then(|mut tree| {
            given
                .iter()
                .try_for_each(|(start, end)| tree.add_node(*start..*end, vec![0f32]))
        });
        assert_eq!(refused, Err(expected), "{given:?}");
    }

    #[test]
    fn wrong_parts_are_refused() {
        let no_node = |start, end| ReduceError::NoSuchNode {
            start,
            end,
            shards: 4,
        };
        let twice = |start, end| ReduceError::Twice { start, end };
        check_refused(0, &[], ReduceError::NoShards);
        check_refused(4, &[(4, 5)], no_node(4, 5));
        check_refused(4, &[(1, 3)], no_node(1, 3));
        check_refused(4, &[(2, 2)], no_node(2, 2));
        check_refused(4, &[(0, 1), (0, 1)], twice(0, 1));
        check_refused(4, &[(0, 2), (1, 2)], twice(1, 2));
        check_refused(4, &[(1, 2), (0, 2)], twice(0, 2));
        check_refused(4, &[(0, 4), (2, 3)], twice(2, 3));
        assert_eq!(
            reduce_tree(vec![(0, vec![1.0]), (1, vec![])], 2),
            Err(ReduceError::Length { left: 1, right: 0 })
        );
    }

    /// (shards, per shard: a value or none, member of each shard, order of arrival)
    fn steps() -> impl Strategy<Value = (Vec<Option<[f32; 3]>>, Vec<usize>, Vec<u64>)> {
        (1usize..24).prop_flat_map(|shards| {
            let value = proptest::option::weighted(0.8, proptest::array::uniform3(-1e6f32..1e6));
            (
                proptest::collection::vec(value, shards),
                proptest::collection::vec(0usize..4, shards),
                proptest::collection::vec(any::<u64>(), shards),
            )
        })
    }

    proptest! {
        #[test]
        fn members_and_order_do_not_change_bits((values, members, order) in steps()) {
            let shards = values.len() as u32;
            let all: Vec<(u32, Vec<f32>)> = (0u32..)
                .zip(&values)
                .filter_map(|(shard, value)| value.map(|value| (shard, value.to_vec())))
                .collect();
            let alone = reduce_tree(all.clone(), shards).unwrap();

            let mut shuffled = all.clone();
            shuffled.sort_by_key(|(shard, _)| order[*shard as usize]);
            let mut root = Tree::new(shards).unwrap();
            for member in 0..4 {
                let mut local = Tree::new(shards).unwrap();
                for (shard, value) in &shuffled {
                    if members[*shard as usize] == member {
                        local.add(*shard, value.clone()).unwrap();
                    }
                }
                for (node, part) in local.into_nodes() {
                    root.add_node(node, part).unwrap();
                }
            }
            let together = root.finish().unwrap().unwrap_or_default();
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&alone), bits(&together));
        }
    }
}
