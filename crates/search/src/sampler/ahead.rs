//! Several suggestions in a row, each seeing those before it as created, without copying the sampler.

use super::taken::Ahead;
use std::borrow::Cow;
use std::cell::OnceCell;

use rand_chacha::rand_core::RngCore;

use super::auto::{self, Choice};
use super::{Known, SOBOL_DIMENSIONS_MAX, Sampler, SamplerKind, cma, gp, grid, random, sobol, tpe};
use crate::space::unit;
use crate::{Assignment, Suggestion};

/// The share of random suggestions under BOHB: Falkner et al. 2018, section 4.
const RANDOM_SHARE: f64 = 1.0 / 3.0;
/// How often a place is drawn again in a space with continuous parameters, once every other point is taken.
const DRAWS: u32 = 256;

pub(super) fn suggest(sampler: &Sampler, first: u32, count: u32) -> Vec<Suggestion> {
    let mut batch = Batch {
        sampler,
        taken: Ahead::of(&sampler.taken),
        points: Vec::new(),
        model: OnceCell::new(),
        evolution: OnceCell::new(),
    };
    let mut suggestions = Vec::new();
    for number in (first..=u32::MAX).take(count as usize) {
        let suggestion = batch.suggest(number);
        let ended = matches!(suggestion, Suggestion::Exhausted { .. });
        if let Suggestion::Trial(point) = &suggestion {
            batch.create(point);
        }
        suggestions.push(suggestion);
        if ended {
            break;
        }
    }
    suggestions
}

/// A sampler, and the trials of this batch so far.
struct Batch<'a> {
    sampler: &'a Sampler,
    taken: Ahead<'a>,
    points: Vec<Box<[f64]>>,
    /// The Gaussian process, once it is asked for: it follows from the history, which a batch does not change.
    model: OnceCell<gp::Model<'a>>,
    /// CMA-ES with what has been reported taken in, likewise.
    evolution: OnceCell<Cow<'a, cma::Evolution>>,
}

impl<'a> Batch<'a> {
    fn create(&mut self, point: &Assignment) {
        let sampler = self.sampler;
        if let Some(rank) = sampler.space.rank(point) {
            self.taken.insert(rank);
        }
        if sampler.looks_at_results()
            && let Some(point) = sampler.axes.encode(&sampler.space, point)
        {
            self.points.push(point);
        }
    }

    fn suggest(&self, number: u32) -> Suggestion {
        let sampler = self.sampler;
        if sampler.kind == SamplerKind::Grid {
            return grid::suggest(&sampler.space, number);
        }
        if let Some(size) = sampler.space.size()
            && self.taken.count() >= size
        {
            let reason = format!("each of the space's {size} points has been tried");
            return Suggestion::Exhausted { reason };
        }
        let point = self.choose(number);
        Suggestion::Trial(if self.is_new(&point) {
            point
        } else {
            self.free_point(point, number)
        })
    }

    fn choose(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        match sampler.kind {
            SamplerKind::Random => self.random(number),
            SamplerKind::Grid | SamplerKind::Sobol => self.spread(number),
            SamplerKind::Tpe | SamplerKind::Gp | SamplerKind::Auto | SamplerKind::Cmaes => {
                self.learned(number)
            }
        }
    }

    fn learned(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        let valued = sampler.history.valued();
        let running = sampler.history.running() + self.points.len();
        let choice = match sampler.kind {
            _ if valued < auto::STARTUP => Choice::Spread,
            _ if sampler.explores && explores(sampler.seed, number) => Choice::Random,
            SamplerKind::Gp => Choice::GaussianProcess,
            SamplerKind::Tpe => Choice::Parzen,
            SamplerKind::Cmaes => Choice::Evolution,
            _ => {
                let dimensions = sampler.axes.len();
                auto::choose(number, dimensions, valued, running, sampler.evolves())
            }
        };
        let shared: Known<'a> = sampler.known();
        let known = Known {
            ahead: &self.points,
            ..shared
        };
        let is_new = |point: &Assignment| self.is_new(point);
        match choice {
            Choice::Spread => self.spread(number),
            Choice::Random => self.random(number),
            Choice::Parzen => tpe::suggest(&known, number, is_new),
            Choice::Evolution => {
                let evolution = self
                    .evolution
                    .get_or_init(|| sampler.evolution.advanced(&shared));
                cma::suggest(&known, evolution, number, is_new)
                    .unwrap_or_else(|| self.spread(number))
            }
            Choice::GaussianProcess => {
                let model = self.model.get_or_init(|| gp::Model::new(&shared));
                gp::suggest(&known, model, number, is_new)
                    .unwrap_or_else(|| tpe::suggest(&known, number, is_new))
            }
        }
    }

    /// Whether no trial has that point; always, where it has no number.
    fn is_new(&self, point: &Assignment) -> bool {
        let rank = self.sampler.space.rank(point);
        rank.is_none_or(|rank| !self.taken.has(rank))
    }

    fn random(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        random::suggest(&sampler.space, sampler.seed, number, |p| self.is_new(p))
    }

    /// A place of Sobol's sequence, or a random one where there are more parameters than it has dimensions.
    fn spread(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        if sampler.axes.len() > SOBOL_DIMENSIONS_MAX {
            return self.random(number);
        }
        sobol::suggest(&sampler.space, sampler.seed, number)
    }

    /// The next free point after a taken one, in the space's order, from the start again after the last. Where all
    /// points with numbers are taken and there are others, one of those, found by drawing.
    fn free_point(&self, point: Assignment, number: u32) -> Assignment {
        let sampler = self.sampler;
        let free = sampler.space.rank(&point).and_then(|rank| {
            let size = sampler.space.numbered()?;
            let next = self.taken.next_free(rank);
            let next = if next < size {
                next
            } else {
                self.taken.next_free(0)
            };
            sampler.space.point(next)
        });
        if let Some(free) = free {
            return free;
        }
        let is_new = |point: &Assignment| self.is_new(point);
        random::draw(&sampler.space, sampler.seed, number, DRAWS, is_new)
    }
}

/// Whether BOHB draws that trial. By chance and not by turns, which could go along with the brackets' turns.
fn explores(seed: u64, number: u32) -> bool {
    let mut stream = random::stream(b"bonfire:bohb:001", seed, u64::from(number));
    unit(stream.next_u64()) < RANDOM_SHARE
}
