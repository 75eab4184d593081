//! Several suggestions in a row, each seeing those before it as created, without copying the sampler.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use rand_chacha::rand_core::RngCore;

use super::allowed::DRAWS_MAX;
use super::auto::{self, Choice};
use super::marks::Mark;
use super::taken::Ahead;
use super::{
    Known, SOBOL_DIMENSIONS_MAX, Sampler, SamplerKind, cma, gp, nsga2, random, sobol, tpe,
};
use crate::space::unit;
use crate::{Assignment, Expected, Explanation, Maker, Neighbour, Suggestion};

/// The share of random suggestions under BOHB: Falkner et al. 2018, section 4.
const RANDOM_SHARE: f64 = 1.0 / 3.0;
/// How often a place is drawn again in a space with continuous parameters, once every other point is taken.
const DRAWS: u32 = 256;
/// Scramblings of Sobol's sequence of which the first allowed point is taken.
const ROUNDS: u64 = 64;
/// Free points that are looked at one after the other, where drawing has found none that is allowed.
const STEPS: u32 = 1_000;

pub(super) fn suggest(sampler: &Sampler, first: u32, count: u32) -> Vec<Suggestion> {
    let mut batch = Batch::new(sampler);
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

/// As [`suggest`], each with its reasons; why no more come, if that is so. `model`: one that saw the same and looks at results.
pub(super) fn explain(
    sampler: &Sampler,
    model: &Sampler,
    first: u32,
    count: u32,
) -> (Vec<Explanation>, Option<String>) {
    let mut batch = Batch::new(sampler);
    let observer = Batch::new(model);
    let mut explained = Vec::new();
    for number in (first..=u32::MAX).take(count as usize) {
        match batch.suggest(number) {
            Suggestion::Trial(point) => {
                let (expected, neighbours) = observer.expect(&point).unzip();
                explained.push(Explanation {
                    number,
                    parameters: point.clone(),
                    maker: batch.maker(number),
                    expected,
                    neighbours: neighbours.unwrap_or_default(),
                });
                batch.create(&point);
            }
            Suggestion::Exhausted { reason } => return (explained, Some(reason)),
        }
    }
    (explained, None)
}

/// A sampler, and the trials of this batch so far.
struct Batch<'a> {
    sampler: &'a Sampler,
    taken: Ahead<'a>,
    /// Of this batch alone.
    marks: BTreeSet<Mark>,
    /// Start points that have been tried.
    started: usize,
    points: Vec<Box<[f64]>>,
    /// The Gaussian process, once it is asked for: it follows from the history, which a batch does not change.
    model: OnceCell<gp::Model<'a>>,
    /// CMA-ES with what has been reported taken in, likewise.
    evolution: OnceCell<Cow<'a, cma::Evolution>>,
}

impl<'a> Batch<'a> {
    fn new(sampler: &'a Sampler) -> Batch<'a> {
        Batch {
            sampler,
            taken: Ahead::of(&sampler.taken),
            marks: BTreeSet::new(),
            started: sampler.started,
            points: Vec::new(),
            model: OnceCell::new(),
            evolution: OnceCell::new(),
        }
    }

    /// What the process expects of a point, and the trials like it. Before a few values its range would be made up.
    fn expect(&self, point: &Assignment) -> Option<(Expected, Vec<Neighbour>)> {
        let sampler = self.sampler;
        let known: Known<'a> = sampler.known();
        if !sampler.several.is_empty() || sampler.history.valued() < auto::STARTUP {
            return None;
        }
        let coordinates = sampler.axes.encode(&sampler.space, point)?;
        let model = self.model.get_or_init(|| gp::Model::new(&known));
        gp::explain(&known, model, &coordinates)
    }

    /// What is asked first for that trial's point.
    fn maker(&self, number: u32) -> Maker {
        let sampler = self.sampler;
        let spread = match sampler.axes.len() > SOBOL_DIMENSIONS_MAX {
            true => Maker::Random,
            false => Maker::Sobol,
        };
        match sampler.kind {
            _ if self.started < sampler.start.len() => Maker::Start,
            SamplerKind::Grid => Maker::Grid,
            SamplerKind::Random => Maker::Random,
            SamplerKind::Sobol => spread,
            _ => match self.choice(number) {
                Choice::Spread => spread,
                Choice::Random => Maker::Random,
                Choice::Parzen if sampler.history.valued() < auto::STARTUP => Maker::From,
                Choice::Parzen => Maker::Tpe,
                Choice::Offspring => Maker::Nsga2,
                Choice::Evolution => Maker::Cmaes,
                Choice::GaussianProcess => Maker::Gp,
            },
        }
    }

    fn create(&mut self, point: &Assignment) {
        let sampler = self.sampler;
        if let Some(rank) = sampler.space.rank(point) {
            self.taken.insert(rank);
        }
        self.started += usize::from(sampler.begins_with(self.started, point));
        if sampler.looks_at_results()
            && let Some(point) = sampler.axes.encode(&sampler.space, point)
        {
            self.marks.insert(Mark::at(&point));
            self.points.push(point);
        }
    }

    fn suggest(&self, number: u32) -> Suggestion {
        let sampler = self.sampler;
        if let Some(point) = sampler.start.get(self.started) {
            return Suggestion::Trial(point.clone());
        }
        if let Some(size) = sampler.space.size()
            && self.taken.count() >= size
        {
            let reason = self.all_tried(size);
            return Suggestion::Exhausted { reason };
        }
        let point = self.choose(number);
        if self.is_open(&point) {
            return Suggestion::Trial(point);
        }
        match self.another(&point, number) {
            Some(point) => Suggestion::Trial(point),
            None => Suggestion::Exhausted {
                reason: format!(
                    "require refuses each of {DRAWS_MAX} points drawn evenly: nothing more to try was found"
                ),
            },
        }
    }

    fn all_tried(&self, size: u128) -> String {
        let allowed = &self.sampler.allowed;
        let points = size - allowed.refused();
        match self.sampler.kind {
            _ if allowed.binds() => {
                format!("each of the {points} points that require allows has been tried")
            }
            SamplerKind::Grid => format!("the grid has {size} points and each has been tried"),
            _ => format!("each of the space's {size} points has been tried"),
        }
    }

    fn choose(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        match sampler.kind {
            SamplerKind::Random => self.random(number),
            SamplerKind::Grid => sampler
                .space
                .point(self.taken.next_free(0))
                .unwrap_or_default(),
            SamplerKind::Sobol => self.spread(number),
            SamplerKind::Tpe
            | SamplerKind::Gp
            | SamplerKind::Auto
            | SamplerKind::Cmaes
            | SamplerKind::Nsga2 => self.learned(number),
        }
    }

    /// What makes a suggestion of a sampler that looks at results.
    fn choice(&self, number: u32) -> Choice {
        let sampler = self.sampler;
        let valued = sampler.history.valued();
        let running = sampler.history.running() + self.points.len();
        match sampler.kind {
            _ if valued < auto::STARTUP && self.is_told_by_others() => Choice::Parzen,
            _ if valued < auto::STARTUP => Choice::Spread,
            _ if sampler.explores && explores(sampler.seed, number) => Choice::Random,
            SamplerKind::Gp => Choice::GaussianProcess,
            SamplerKind::Tpe => Choice::Parzen,
            SamplerKind::Cmaes => Choice::Evolution,
            SamplerKind::Nsga2 if valued < nsga2::POPULATION => Choice::Spread,
            SamplerKind::Nsga2 => Choice::Offspring,
            _ if !sampler.several.is_empty() => {
                auto::choose_front(sampler.axes.len(), valued, running)
            }
            _ => {
                let seen = auto::Seen {
                    dimensions: sampler.axes.len(),
                    valued,
                    running,
                    is_continuous: sampler.axes.are_continuous(),
                    compared: sampler.history.how_compared(),
                };
                auto::choose(number, seen)
            }
        }
    }

    fn learned(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        let choice = self.choice(number);
        let shared: Known<'a> = sampler.known();
        let known = Known {
            ahead: &self.points,
            ..shared
        };
        let is_new = |point: &Assignment| self.is_open(point);
        match choice {
            Choice::Spread => self.spread(number),
            Choice::Random => self.random(number),
            Choice::Parzen => tpe::suggest(&known, number, is_new),
            Choice::Offspring => {
                nsga2::suggest(&known, number, is_new).unwrap_or_else(|| self.spread(number))
            }
            Choice::Evolution => {
                let evolution = self
                    .evolution
                    .get_or_init(|| sampler.evolution.advanced(&shared));
                cma::suggest(&known, evolution, number, is_new)
                    .unwrap_or_else(|| self.spread(number))
            }
            Choice::GaussianProcess => {
                let model = self.model.get_or_init(|| gp::Model::new(&shared));
                let is_new_at = |point: &Assignment, coordinates: &[f64]| {
                    self.is_new_at(point, || Some(Mark::at(coordinates)))
                        && sampler.allowed.allows(point)
                };
                gp::suggest(&known, model, number, is_new_at)
                    .unwrap_or_else(|| tpe::suggest(&known, number, is_new))
            }
        }
    }

    /// Whether other searches say something that can be believed.
    fn is_told_by_others(&self) -> bool {
        let known = self.sampler.known();
        !self.sampler.prior.parts(&known).is_empty()
    }

    /// Whether that point may be tried and no trial has it.
    fn is_open(&self, point: &Assignment) -> bool {
        self.is_new(point) && self.sampler.allowed.allows(point)
    }

    /// Whether no trial has that point; always, where it has no number and the sampler does not look at results.
    fn is_new(&self, point: &Assignment) -> bool {
        let sampler = self.sampler;
        self.is_new_at(point, || Mark::of(&sampler.axes, &sampler.space, point))
    }

    fn is_new_at(&self, point: &Assignment, mark: impl FnOnce() -> Option<Mark>) -> bool {
        match self.sampler.space.rank(point) {
            Some(rank) => !self.taken.has(rank),
            None if !self.sampler.looks_at_results() => true,
            None => mark().is_none_or(|mark| !self.is_marked(mark)),
        }
    }

    fn is_marked(&self, mark: Mark) -> bool {
        self.sampler.marks.has(mark) || self.marks.contains(&mark)
    }

    fn random(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        random::suggest(&sampler.space, sampler.seed, number, |p| self.is_open(p))
    }

    /// A place of Sobol's sequence, or a random one where there are more parameters than it has dimensions.
    fn spread(&self, number: u32) -> Assignment {
        let sampler = self.sampler;
        if sampler.axes.len() > SOBOL_DIMENSIONS_MAX {
            return self.random(number);
        }
        let place = |round| sobol::suggest(&sampler.space, sampler.seed, round, number);
        let first = place(0);
        if sampler.allowed.allows(&first) {
            return first;
        }
        let mut others = (1..ROUNDS).map(place);
        let allowed = others.find(|point| sampler.allowed.allows(point));
        allowed.unwrap_or(first)
    }

    /// A point that may be tried, in the place of one that may not; `None` where none was found.
    ///
    /// For one that is refused, the first of those drawn evenly. For one that is taken, the next free point in the space's order.
    fn another(&self, point: &Assignment, number: u32) -> Option<Assignment> {
        let allowed = &self.sampler.allowed;
        let draws = if allowed.binds() { DRAWS_MAX } else { DRAWS };
        if !allowed.allows(point) {
            let drawn = self.draw(number, draws);
            if self.is_open(&drawn) {
                return Some(drawn);
            }
        }
        if let Some(free) = self.free_point(point) {
            return Some(free);
        }
        let drawn = self.draw(number, draws);
        // A continuous space has more, however unlikely it was to draw none.
        (!allowed.binds() || self.is_open(&drawn)).then_some(drawn)
    }

    fn draw(&self, number: u32, draws: u32) -> Assignment {
        let sampler = self.sampler;
        let is_open = |point: &Assignment| self.is_open(point);
        random::draw(&sampler.space, sampler.seed, number, draws, is_open)
    }

    /// The next free point after that one in the space's order, from the start again after the last. `None` where all
    /// points with numbers are taken, or the next ones are refused.
    fn free_point(&self, point: &Assignment) -> Option<Assignment> {
        let space = &self.sampler.space;
        let allowed = &self.sampler.allowed;
        let mut rank = space.rank(point)?;
        let size = space.numbered()?;
        let steps = match allowed.binds() && !allowed.is_listed() {
            true => STEPS,
            false => 1,
        };
        for _ in 0..steps {
            let next = self.taken.next_free(rank);
            let next = if next < size {
                next
            } else {
                self.taken.next_free(0)
            };
            let free = space.point(next)?;
            if allowed.allows(&free) {
                return Some(free);
            }
            rank = next + 1;
        }
        None
    }
}

/// Whether BOHB draws that trial. By chance and not by turns, which could go along with the brackets' turns.
fn explores(seed: u64, number: u32) -> bool {
    let mut stream = random::stream(b"bonfire:bohb:001", seed, u64::from(number));
    unit(stream.next_u64()) < RANDOM_SHARE
}
