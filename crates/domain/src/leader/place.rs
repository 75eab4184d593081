//! Filling slots: waiting trials first, then promotions and forks, then new trials from the sampler.

use bonfire_search::SchedulerKind;

use super::{Action, Leader, Pending, Time};
use crate::cluster::{AttemptRecord, Cluster, Move, Occupant, Sweep, SweepState, WorkerState};
use crate::command::Command;
use crate::id::{Attempt, Place, SweepId, TrialId};
use crate::order::Order;
use crate::placement::{Load, Skip, decide_places};

/// A trial that has waited behind another for so long is taken back for a slot that has nothing to do.
const BEHIND_MS: u64 = 500;
/// It is asked again after this: the order may have been lost.
const ASK_AGAIN_MS: u64 = 5_000;

impl Leader {
    /// Does everything that can be done now: ends sweeps, starts, promotes and asks for trials.
    pub(super) fn work(&mut self, time: Time, cluster: &Cluster) -> Vec<Action> {
        let mut actions = self.turn_away(cluster);
        let mut open: Vec<&Sweep> = cluster
            .sweeps()
            .filter(|s| !s.state.is_terminal())
            .collect();
        let is_open = |id: &SweepId| open.iter().any(|sweep| sweep.id == *id);
        self.looking.retain(|id, _| is_open(id));
        let is_current = |trial: &TrialId, attempt: &Attempt| {
            cluster
                .trial(*trial)
                .is_some_and(|t| t.is_current(*attempt))
        };
        self.taken_back
            .retain(|(trial, attempt), _| is_current(trial, attempt));
        if open.is_empty() {
            return actions;
        }
        open.sort_by_key(|s| (-i32::from(s.spec.resources.priority), s.id));
        let mut load = self.load(cluster);
        for sweep in &open {
            let sweep = *sweep;
            let looking = self.looking.entry(sweep.id);
            looking.or_insert_with(|| looks_at_results(sweep));
            actions.extend(self.finish_if_over(time, sweep));
            if sweep.state != SweepState::Running {
                continue;
            }
            if sweep.spec.is_external() {
                actions.extend(self.serve(time, sweep));
            } else {
                actions.extend(self.fill(time, cluster, sweep, &mut load));
            }
        }
        actions.extend(self.use_idle(time, cluster, &open, &load));
        actions
    }

    /// What each slot holds: the cluster plus what is proposed.
    pub(super) fn load(&self, cluster: &Cluster) -> Load {
        let mut load = Load::new();
        for worker in cluster.workers() {
            for (slot, held) in &worker.slots {
                let place = Place {
                    worker: worker.id(),
                    slot: *slot,
                };
                load.insert(place, held.len());
            }
        }
        for pending in self.pending.values() {
            for (_, place) in &pending.starts {
                *load.entry(*place).or_insert(0) += 1;
            }
            for (_, place) in &pending.ends {
                let held = load.entry(*place).or_insert(0);
                *held = held.saturating_sub(1);
            }
        }
        load
    }

    /// Whether slots of this sweep may hold a trial ahead of need: its sampler does not look at results and nothing pauses.
    fn runs_ahead(&self, sweep: &Sweep) -> bool {
        match &sweep.spec.search {
            None => false,
            Some(search) => search.scheduler == SchedulerKind::None && !self.looks(sweep),
        }
    }

    fn looks(&self, sweep: &Sweep) -> bool {
        self.looking.get(&sweep.id).copied().unwrap_or(true)
    }

    /// The places this sweep can use now, or why there is none.
    pub(super) fn places(
        &self,
        cluster: &Cluster,
        sweep: &Sweep,
        load: &Load,
    ) -> Result<Vec<Place>, Skip> {
        let reachable = |w: &WorkerState| {
            self.contacts
                .get(&w.id())
                .is_some_and(|c| c.connected && !c.running.leaving)
        };
        decide_places(
            cluster,
            &sweep.spec,
            load,
            self.runs_ahead(sweep),
            reachable,
        )
    }

    fn fill(
        &mut self,
        time: Time,
        cluster: &Cluster,
        sweep: &Sweep,
        load: &mut Load,
    ) -> Vec<Action> {
        let Ok(mut places) = self.places(cluster, sweep, load) else {
            return vec![];
        };
        if self.runs_ahead(sweep) {
            // Both places of an empty slot may be filled in one turn.
            let empty: Vec<Place> = places
                .iter()
                .filter(|p| load.get(p).copied().unwrap_or(0) == 0)
                .copied()
                .collect();
            places.extend(empty);
        }
        let capacity = places.len();
        let mut places = places.into_iter();
        let mut commands = Vec::new();
        let mut pending = Pending::default();
        let proposed: std::collections::BTreeSet<TrialId> = self
            .pending
            .values()
            .flat_map(|p| {
                p.starts
                    .iter()
                    .map(|s| s.0)
                    .chain(p.promotes.iter().copied())
            })
            .collect();
        let mut waiting = 0;
        let in_turn = |number: &u32| !sweep.early().contains(number);
        let turns_wait = sweep.waiting().iter().any(in_turn);
        for number in sweep.waiting() {
            let id = sweep.id_of(*number);
            if proposed.contains(&id) || (turns_wait && !in_turn(number)) {
                continue;
            }
            waiting += 1;
            if self.not_before.get(&id).is_some_and(|t| *t > time.now) {
                continue;
            }
            let Some(trial) = sweep.live_trial(*number) else {
                continue;
            };
            let Some(place) = take_place(cluster, &mut places, trial.history.last()) else {
                break;
            };
            *load.entry(place).or_insert(0) += 1;
            pending.starts.push((id, place));
            commands.push(Command::StartAttempt {
                trial: id,
                attempt: trial.attempt.next(),
                place,
                at: time.wall,
            });
        }
        // One promotion at a time: the next one is known when this one is applied.
        let promoting = proposed.iter().any(|t| t.sweep == sweep.id)
            && self.pending.values().any(|p| !p.promotes.is_empty());
        // A member is compared with results that are on their way into the log, too.
        let compares = sweep.scheduler().kind().population().is_some();
        let ends = |p: &Pending| p.ends.iter().any(|(trial, _)| trial.sweep == sweep.id);
        let expecting = compares && self.pending.values().any(ends);
        let mut promoted = false;
        if !promoting
            && !expecting
            && let Some(next) = sweep.next_move()
            && let Some(place) = take_place(cluster, &mut places, ran_last(sweep, &next))
        {
            *load.entry(place).or_insert(0) += 1;
            let (command, of, start) = carry_out(time, sweep, next);
            let (trial, attempt) = start;
            pending.promotes.push(of);
            pending.starts.push((trial, place));
            commands.push(command);
            commands.push(Command::StartAttempt {
                trial,
                attempt,
                place,
                at: time.wall,
            });
            promoted = true;
        }
        let mut actions = Vec::new();
        if !commands.is_empty() {
            actions.push(self.propose(commands, pending));
        } else if waiting == 0 {
            actions.extend(self.take_back(time, cluster, sweep, load));
        }
        if !promoted && !promoting {
            let free = places.len();
            actions.extend(self.ask(sweep, free, capacity, waiting));
        }
        actions
    }

    /// Trials that wait behind a long one while a slot has nothing to do, and nothing will come for it, give their place back.
    fn take_back(
        &mut self,
        time: Time,
        cluster: &Cluster,
        sweep: &Sweep,
        load: &Load,
    ) -> Vec<Action> {
        if !self.runs_ahead(sweep) || sweep.room() > 0 {
            return vec![];
        }
        let Ok(places) = self.places(cluster, sweep, load) else {
            return vec![];
        };
        let is_idle = |place: &&Place| load.get(place).copied().unwrap_or(0) == 0;
        let idle = places.iter().filter(is_idle).count();
        let behind = |worker: &WorkerState| {
            let queues = worker.slots.values();
            let next = queues.flat_map(|queue| queue.iter().skip(1)).copied();
            next.map(|occupant| (worker.id(), occupant))
                .collect::<Vec<_>>()
        };
        let mut orders = Vec::new();
        for (worker, Occupant { trial, attempt }) in cluster.workers().flat_map(behind) {
            if orders.len() == idle {
                break;
            }
            let since = sweep
                .live_trial(trial.number)
                .and_then(|t| t.history.last());
            let is_long =
                |record: &AttemptRecord| time.wall.0.saturating_sub(record.started.0) >= BEHIND_MS;
            let asked = self.taken_back.get(&(trial, attempt));
            let is_asked = asked.is_some_and(|at| time.now.since(*at) < ASK_AGAIN_MS);
            if trial.sweep == sweep.id && since.is_some_and(is_long) && !is_asked {
                self.taken_back.insert((trial, attempt), time.now);
                let order = Order::TakeBack { trial, attempt };
                orders.push(Action::Order { worker, order });
            }
        }
        orders
    }

    /// Asks for as many trials as there are places for.
    fn ask(&mut self, sweep: &Sweep, free: usize, capacity: usize, waiting: u32) -> Vec<Action> {
        let ahead = if self.runs_ahead(sweep) {
            capacity.saturating_mul(2)
        } else {
            0
        };
        let wanted = (free + ahead).saturating_sub(waiting as usize) as u32;
        self.request_trials(sweep, wanted)
    }

    /// Asks the sampler for trials, as many as the sweep has room for; one question at a time.
    pub(super) fn request_trials(&mut self, sweep: &Sweep, wanted: u32) -> Vec<Action> {
        let count = wanted.min(sweep.room()).min(self.config.suggest_max);
        // A sampler that looks at results waits for those that are on their way into the log.
        let looks = self.looks(sweep);
        let creating = |p: &Pending| {
            let ends = || p.ends.iter().any(|(trial, _)| trial.sweep == sweep.id);
            p.creates == Some(sweep.id) || (looks && ends())
        };
        if count == 0 || self.suggesting.contains(&sweep.id) || self.pending.values().any(creating)
        {
            return vec![];
        }
        self.suggesting.insert(sweep.id);
        vec![Action::Suggest {
            sweep: sweep.id,
            first: sweep.next,
            count,
            seen: sweep.seen(),
        }]
    }

    /// Sweeps whose sampler is at work.
    pub fn is_suggesting(&self, sweep: SweepId) -> bool {
        self.suggesting.contains(&sweep)
    }
}

/// Whether the sampler of a sweep looks at results; no sampler looks at nothing.
fn looks_at_results(sweep: &Sweep) -> bool {
    let sampler = sweep.spec.sampler();
    sampler.is_some_and(|sampler| sampler.looks_at_results())
}

/// Where the trial ran last whose checkpoint a move goes on from.
fn ran_last<'a>(sweep: &'a Sweep, next: &Move) -> Option<&'a AttemptRecord> {
    let from = match next {
        Move::Promote(promotion) => promotion.number,
        Move::Exploit { parent, .. } => *parent,
    };
    sweep.live_trial(from)?.history.last()
}

/// The command that makes a move true, the trial that it moves, and the attempt that starts then.
fn carry_out(time: Time, sweep: &Sweep, next: Move) -> (Command, TrialId, (TrialId, Attempt)) {
    let at = time.wall;
    match next {
        Move::Promote(promotion) => {
            let trial = sweep.id_of(promotion.number);
            let last = sweep.live_trial(promotion.number);
            let attempt = last.map_or(Attempt::NONE, |last| last.attempt).next();
            (Command::Promote { trial, at }, trial, (trial, attempt))
        }
        Move::Exploit {
            number: loser,
            parent,
            step,
            parameters,
        } => {
            let (trial, number) = (sweep.id_of(loser), sweep.next);
            let command = Command::Exploit {
                trial,
                number,
                parent,
                step,
                parameters,
                at,
            };
            (command, trial, (sweep.id_of(number), Attempt::NONE.next()))
        }
    }
}

/// The first place of the numerics class the trial ran in before, else the first.
pub(super) fn take_place(
    cluster: &Cluster,
    places: &mut std::vec::IntoIter<Place>,
    last: Option<&AttemptRecord>,
) -> Option<Place> {
    let Some(last) = last else {
        return places.next();
    };
    let rest: Vec<Place> = places.collect();
    let same = |p: &&Place| {
        cluster
            .worker(p.worker)
            .is_some_and(|w| w.facts.numerics == last.numerics)
    };
    let at = rest.iter().position(|p| same(&p)).unwrap_or(0);
    let mut rest = rest;
    let taken = (at < rest.len()).then(|| rest.remove(at));
    *places = rest.into_iter();
    taken
}
