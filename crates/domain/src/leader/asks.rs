//! Askers of external trials: who waits, and which trial each gets.
//!
//! Volatile: an asker that loses its leader asks again with the same request.

use std::collections::BTreeSet;

use bonfire_search::Assignment;

use super::{Action, Answer, Leader, Pending, SweepDecision, Time, decide_sweep};
use crate::cluster::{Cluster, Sweep, SweepState, Trial, TrialState};
use crate::command::Command;
use crate::effect::Refusal;
use crate::id::{Attempt, LogIndex, SweepId, TrialId, WallMs};
use crate::spec::SearchSpec;

/// When an external trial that was given out counts as untold; `None`: never, or it is not given out.
pub fn deadline(sweep: &Sweep, trial: &Trial) -> Option<WallMs> {
    let limit = sweep
        .spec
        .limits
        .time
        .filter(|_| sweep.spec.is_external())?;
    let record = trial.history.last().filter(|r| r.ended.is_none())?;
    Some(WallMs(record.started.0.saturating_add(limit.0)))
}

impl Leader {
    /// Somebody asks for a trial of an external sweep; answered by [`Action::Answer`], now or later.
    pub(super) fn asked(
        &mut self,
        time: Time,
        cluster: &Cluster,
        sweep: SweepId,
        request: u64,
    ) -> Vec<Action> {
        let answer = |answer| {
            vec![Action::Answer {
                sweep,
                request,
                answer,
            }]
        };
        let Some(known) = cluster.sweep(sweep) else {
            return answer(Answer::Refused(Refusal::NoSuchSweep));
        };
        if !known.spec.is_external() {
            return answer(Answer::Refused(Refusal::NotExternal));
        }
        if let Some(trial) = known.given_to(request) {
            return answer(Answer::Given {
                trial: known.id_of(trial.number),
                attempt: trial.attempt,
            });
        }
        if self.asks.contains(&(sweep, request)) {
            return vec![]; // whoever asks again hears the same answer
        }
        if self.asks.len() >= self.config.asks_max {
            return answer(Answer::Busy);
        }
        self.asks.push((sweep, request));
        self.work(time, cluster)
    }

    /// The asker is gone. A trial that is on its way to it is given out again when its time is over.
    pub(super) fn unasked(&mut self, sweep: SweepId, request: u64) {
        self.asks.retain(|waits| *waits != (sweep, request));
    }

    pub(super) fn given(&mut self, request: u64, trial: TrialId, attempt: Attempt) -> Vec<Action> {
        let waited = self.asks.len();
        let sweep = trial.sweep;
        self.unasked(sweep, request);
        if self.asks.len() == waited {
            return vec![];
        }
        let answer = Answer::Given { trial, attempt };
        vec![Action::Answer {
            sweep,
            request,
            answer,
        }]
    }

    /// Answers those who ask for trials of sweeps that give none now.
    pub(super) fn turn_away(&mut self, cluster: &Cluster) -> Vec<Action> {
        let mut actions = Vec::new();
        self.asks.retain(|(sweep, request)| {
            let (id, request) = (*sweep, *request);
            let answer = match cluster.sweep(id) {
                None => Answer::Refused(Refusal::NoSuchSweep),
                Some(sweep) if sweep.state == SweepState::Paused || sweep.state.is_terminal() => {
                    let reason = sweep.reason.clone().unwrap_or_default();
                    nothing(sweep, reason)
                }
                Some(_) => return true,
            };
            actions.push(Action::Answer {
                sweep: id,
                request,
                answer,
            });
            false
        });
        actions
    }

    /// Askers of a sweep to whom no trial is on its way, the first one first.
    fn waiting_asks(&self, sweep: SweepId) -> Vec<u64> {
        let asks = self.asks.iter().filter(|(of, _)| *of == sweep);
        let asks: Vec<u64> = asks.map(|(_, request)| *request).collect();
        if asks.is_empty() {
            return asks;
        }
        let gives = self.pending.values().flat_map(|p| &p.gives);
        let of_this = gives.filter(|(trial, _)| trial.sweep == sweep);
        let on_their_way: BTreeSet<u64> = of_this.map(|(_, request)| *request).collect();
        let waits = |request: &u64| !on_their_way.contains(request);
        asks.into_iter().filter(waits).collect()
    }

    /// Gives trials to those who ask for them: those that wait, those that were not told in time, a promoted one, new ones.
    pub(super) fn serve(&mut self, time: Time, sweep: &Sweep) -> Vec<Action> {
        let waiting = self.waiting_asks(sweep.id);
        if waiting.is_empty() {
            return self.probe(sweep);
        }
        let mut waiting = waiting.into_iter();
        let mut commands = Vec::new();
        let mut pending = Pending::default();
        for trial in self.givable(time, sweep) {
            let Some(request) = waiting.next() else {
                break;
            };
            commands.push(give(
                time,
                sweep,
                trial.number,
                trial.attempt.next(),
                request,
            ));
            pending.gives.push((sweep.id_of(trial.number), request));
        }
        // One promotion at a time: the next one is known when this one is applied.
        let of_this = |t: &TrialId| t.sweep == sweep.id;
        let promoting = self.pending.values().flat_map(|p| &p.promotes).any(of_this);
        if !promoting
            && let Some(next) = sweep.scheduler().promotable()
            && let Some(trial) = sweep.live_trial(next.number)
            && let Some(request) = waiting.next()
        {
            let id = sweep.id_of(next.number);
            commands.push(Command::Promote {
                trial: id,
                at: time.wall,
            });
            commands.push(give(
                time,
                sweep,
                next.number,
                trial.attempt.next(),
                request,
            ));
            pending.promotes.push(id);
            pending.gives.push((id, request));
        }
        let mut actions = Vec::new();
        let serves = !commands.is_empty();
        if serves {
            actions.push(self.propose(commands, pending));
        }
        let rest: Vec<u64> = waiting.collect();
        if rest.is_empty() {
            return actions;
        }
        if sweep.room() > 0 {
            actions.extend(self.request_trials(sweep, rest.len() as u32));
        } else if !serves && !promoting && !self.will_change(sweep) {
            let untold = sweep.count(TrialState::Running);
            let reason = sweep.exhausted.clone().unwrap_or_else(|| {
                format!(
                    "all {} trials are given out, {untold} not told yet",
                    sweep.next
                )
            });
            for request in rest {
                self.unasked(sweep.id, request);
                let answer = nothing(sweep, reason.clone());
                actions.push(Action::Answer {
                    sweep: sweep.id,
                    request,
                    answer,
                });
            }
        }
        actions
    }

    /// Trials that may be given out now and are not on their way to somebody, ascending by number within each kind.
    fn givable<'a>(&self, time: Time, sweep: &'a Sweep) -> Vec<&'a Trial> {
        let taken: BTreeSet<TrialId> = self
            .pending
            .values()
            .flat_map(|p| &p.gives)
            .map(|(trial, _)| *trial)
            .collect();
        let overdue = |number: &&u32| {
            let trial = sweep.live_trial(**number);
            let until = trial.and_then(|trial| deadline(sweep, trial));
            until.is_some_and(|until| until <= time.wall)
        };
        let numbers = sweep
            .waiting()
            .iter()
            .chain(sweep.running().iter().filter(overdue));
        numbers
            .filter(|number| !taken.contains(&sweep.id_of(**number)))
            .filter_map(|number| sweep.live_trial(*number))
            .collect()
    }

    /// Whether something is under way after which there may be another answer: the sweep's end, or trials for others.
    fn will_change(&self, sweep: &Sweep) -> bool {
        let ends = |p: &Pending| p.closes == Some(sweep.id) || p.creates == Some(sweep.id);
        self.pending.values().any(ends)
            || matches!(decide_sweep(sweep), SweepDecision::Finish { .. })
    }

    /// A space of which every point was given out has no more, but only its sampler can say so. Asked once, where nothing
    /// else is to come of the sweep.
    fn probe(&mut self, sweep: &Sweep) -> Vec<Action> {
        let busy = sweep.count(TrialState::Running) + sweep.count(TrialState::Pending) > 0;
        if busy || sweep.room() == 0 || self.probed.get(&sweep.id) == Some(&sweep.next) {
            return vec![];
        }
        // Of what requirements leave, the sampler alone knows the size.
        let search = sweep.spec.search.as_ref();
        let is_known = |search: &&SearchSpec| !search.require.bind_parameters();
        let points = search.filter(is_known).map(|search| search.space.size());
        if points.is_some_and(|points| points.is_none_or(|n| u128::from(sweep.sampled) < n)) {
            return vec![];
        }
        self.probed.insert(sweep.id, sweep.next);
        self.request_trials(sweep, 1)
    }

    /// New trials go to those who wait, in the entry that creates them; a suggestion that nobody waits for any more is
    /// dropped, since a later one will have seen more.
    pub(super) fn suggested_to_askers(
        &mut self,
        time: Time,
        sweep: &Sweep,
        seen: LogIndex,
        mut parameters: Vec<Assignment>,
        exhausted: Option<String>,
    ) -> Vec<Action> {
        let waiting = self.waiting_asks(sweep.id);
        let whole = parameters.len() <= waiting.len();
        parameters.truncate(waiting.len());
        let exhausted = exhausted.filter(|_| whole);
        if parameters.is_empty() && exhausted.is_none() {
            self.suggesting.remove(&sweep.id);
            return vec![];
        }
        let mut pending = Pending {
            creates: Some(sweep.id),
            ..Pending::default()
        };
        let numbers = sweep.next..sweep.next.saturating_add(parameters.len() as u32);
        let mut commands = vec![Command::CreateTrials {
            sweep: sweep.id,
            first: sweep.next,
            seen,
            parameters,
            exhausted,
            at: time.wall,
        }];
        for (number, request) in numbers.zip(waiting) {
            commands.push(give(time, sweep, number, Attempt::NONE.next(), request));
            pending.gives.push((sweep.id_of(number), request));
        }
        vec![self.propose(commands, pending)]
    }

    pub(super) fn why_external(&self, time: Time, sweep: &Sweep, trial: &Trial) -> String {
        match trial.state {
            TrialState::Running => {
                let attempt = trial.attempt.0;
                match deadline(sweep, trial) {
                    None => format!("attempt {attempt} is with its asker"),
                    Some(until) if until > time.wall => {
                        let until = crate::view::time_text(until);
                        format!("attempt {attempt} is with its asker, who has until {until}")
                    }
                    Some(_) => format!(
                        "attempt {attempt} was not told within limits.time: the next asker gets the trial"
                    ),
                }
            }
            _ => "goes to the next asker".to_owned(),
        }
    }
}

fn give(time: Time, sweep: &Sweep, number: u32, attempt: Attempt, request: u64) -> Command {
    Command::Give {
        request,
        trial: sweep.id_of(number),
        attempt,
        at: time.wall,
    }
}

fn nothing(sweep: &Sweep, reason: String) -> Answer {
    Answer::Nothing {
        state: sweep.state.name(),
        reason,
    }
}
