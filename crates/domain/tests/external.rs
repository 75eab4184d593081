//! Random lives of an external sweep: askers that come, leave, repeat themselves and tell late, a leader that dies, a state
//! that goes through a snapshot. Nothing is given twice, nothing told is lost, and the sweep ends.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bonfire_domain::cluster::{SweepState, TrialState};
use bonfire_domain::command::{Command, SweepAction, Told, decode, encode};
use bonfire_domain::effect::Effect;
use bonfire_domain::leader::{Action, Answer, Input, Time};
use bonfire_domain::search::{Ending, Event};
use bonfire_domain::{
    Attempt, Cluster, Leader, LeaderConfig, LogIndex, Now, Suggester, SweepId, TrialId, WallMs,
    invariant, spec,
};
use proptest::prelude::*;

const SWEEP: SweepId = SweepId(0);
const LIMIT_MS: u64 = 10_000;

fn text(scheduler: &str) -> String {
    let sampler = if scheduler.contains("bohb") {
        "tpe"
    } else {
        "sobol"
    };
    format!(
        "kind: sweep\nversion: 1\nname: p\ntrials: external\nlimits: {{ time: 10s }}\nretry: {{ lost: 1000 }}\nsearch:\n  \
         objective: {{ metric: loss, goal: minimize }}\n  sampler: {{ kind: {sampler}, seed: 3 }}\n  scheduler: {scheduler}\n  \
         limit: {{ trials: 12, failed_trials: 1000 }}\n  parameters: {{ x: {{ min: 0.0, max: 1.0 }} }}\n"
    )
}

#[derive(Clone, Debug)]
enum Op {
    Ask(u64),
    Leave(u64),
    /// The asker with its n-th answer says this.
    Tell(usize, Told),
    /// The log takes what was proposed first.
    Commit,
    /// The sampler answers.
    Suggest,
    Pass(u64),
    Pause,
    Resume,
    /// Another leader; the older one's proposals are in the log, or not.
    Elect(bool),
    Restore,
}

fn told() -> impl Strategy<Value = Told> {
    let value = -1.0..1.0f64;
    prop_oneof![
        4 => value.clone().prop_map(|value| Told::Value { value }),
        4 => (1..10u64, value).prop_map(|(at, value)| Told::Intermediate { at, value }),
        1 => Just(Told::Failed { reason: "no".to_owned() }),
        1 => Just(Told::Value { value: f64::NAN }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..24u64).prop_map(Op::Ask),
        1 => (0..24u64).prop_map(Op::Leave),
        8 => (0..40usize, told()).prop_map(|(n, told)| Op::Tell(n, told)),
        8 => Just(Op::Commit),
        4 => Just(Op::Suggest),
        3 => prop_oneof![Just(10), Just(LIMIT_MS / 2), Just(LIMIT_MS)].prop_map(Op::Pass),
        1 => Just(Op::Pause),
        2 => Just(Op::Resume),
        1 => any::<bool>().prop_map(Op::Elect),
        1 => Just(Op::Restore),
    ]
}

struct Life {
    cluster: Cluster,
    leader: Leader,
    log: Vec<Vec<u8>>,
    now: u64,
    proposed: VecDeque<(u64, Vec<Command>)>,
    questions: VecDeque<Action>,
    waiting: BTreeSet<u64>,
    /// Answers in their order.
    given: Vec<(TrialId, Attempt)>,
    /// Final values that were accepted.
    told: BTreeMap<u32, f64>,
}

impl Life {
    fn new(scheduler: &str) -> Life {
        let cluster = Cluster::new();
        let (leader, _) = Leader::new(Time::default(), LeaderConfig::default(), &cluster);
        let mut life = Life {
            cluster,
            leader,
            log: Vec::new(),
            now: 0,
            proposed: VecDeque::new(),
            questions: VecDeque::new(),
            waiting: BTreeSet::new(),
            given: Vec::new(),
            told: BTreeMap::new(),
        };
        let spec = spec::check(text(scheduler).as_bytes(), &[]).unwrap();
        let create = Command::CreateSweep {
            request: 1,
            name: "p".to_owned(),
            spec: spec.canonical(),
            dataset: None,
            at: WallMs(0),
        };
        life.apply(None, vec![create]);
        life
    }

    fn time(&self) -> Time {
        Time {
            now: Now(self.now),
            wall: WallMs(self.now),
        }
    }

    fn apply(&mut self, tag: Option<u64>, commands: Vec<Command>) -> Vec<Effect> {
        self.log.push(encode(&commands));
        let index = LogIndex(self.log.len() as u64);
        let mut effects = Vec::new();
        for command in commands {
            effects.extend(self.cluster.apply(index, command));
            invariant::check_all(&self.cluster).unwrap();
        }
        let applied = Input::Applied {
            tag,
            effects: effects.clone(),
        };
        self.lead(applied);
        effects
    }

    fn lead(&mut self, input: Input) {
        for action in self.leader.step(self.time(), &self.cluster, input) {
            match action {
                Action::Propose { tag, commands } => self.proposed.push_back((tag, commands)),
                Action::Suggest { .. } => self.questions.push_back(action),
                Action::Answer {
                    request, answer, ..
                } => self.answer(request, answer),
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, request: u64, answer: Answer) {
        assert!(self.waiting.remove(&request), "{request} did not ask");
        match answer {
            Answer::Given { trial, attempt } => {
                let known = self.cluster.trial(trial).unwrap();
                assert_eq!((known.attempt, known.state), (attempt, TrialState::Running));
                self.given.push((trial, attempt));
            }
            Answer::Nothing { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, request: u64) {
        self.waiting.insert(request);
        let sweep = SWEEP;
        self.lead(Input::Asked { sweep, request });
    }

    fn tell(&mut self, n: usize, told: Told) -> bool {
        let Some((trial, attempt)) = self.given.get(n % self.given.len().max(1)).copied() else {
            return false;
        };
        let before = self.cluster.trial(trial).unwrap().into_owned();
        let command = Command::Tell {
            trial,
            attempt,
            told: told.clone(),
            at: WallMs(self.now),
        };
        let effects = self.apply(None, vec![command]);
        let after = self.cluster.trial(trial).unwrap().into_owned();
        let answer = effects.iter().find_map(|e| match e {
            Effect::Told {
                repeated,
                proceed,
                kept,
                ..
            } => Some((!repeated && *kept, *proceed)),
            _ => None,
        });
        let refused = effects.iter().any(|e| matches!(e, Effect::Refused(_)));
        assert_ne!(answer.is_some(), refused, "{told:?}: {effects:?}");
        if attempt != before.attempt {
            assert!(refused, "an older attempt told {told:?}");
        }
        let changed = matches!(answer, Some((true, _)));
        if !changed {
            assert_eq!(before, after, "{told:?} changed nothing");
        }
        if let (Told::Value { value }, true) = (&told, changed) {
            assert_eq!(self.told.insert(trial.number, *value), None, "told twice");
        }
        if let Some((_, proceed)) = answer {
            assert_eq!(proceed, after.state == TrialState::Running);
        }
        changed
    }

    fn commit(&mut self) -> bool {
        let Some((tag, commands)) = self.proposed.pop_front() else {
            return false;
        };
        self.apply(Some(tag), commands);
        true
    }

    fn suggest(&mut self) -> bool {
        let Some(Action::Suggest {
            sweep,
            first,
            count,
            seen,
        }) = self.questions.pop_front()
        else {
            return false;
        };
        let mut suggester = Suggester::new();
        suggester.rebuild(&self.cluster);
        let (parameters, exhausted) = suggester.suggest(sweep, first, count);
        self.lead(Input::Suggested {
            sweep,
            first,
            seen,
            parameters,
            exhausted,
        });
        true
    }

    fn control(&mut self, action: SweepAction) {
        let at = WallMs(self.now);
        self.apply(
            None,
            vec![Command::ControlSweep {
                sweep: SWEEP,
                action,
                at,
            }],
        );
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask(request) => self.ask(request),
            Op::Leave(request) => {
                self.waiting.remove(&request);
                let sweep = SWEEP;
                self.lead(Input::Unasked { sweep, request });
            }
            Op::Tell(n, told) => drop(self.tell(n, told)),
            Op::Commit => drop(self.commit()),
            Op::Suggest => drop(self.suggest()),
            Op::Pass(ms) => {
                self.now += ms;
                self.lead(Input::Tick);
            }
            Op::Pause => self.control(SweepAction::Pause),
            Op::Resume => self.control(SweepAction::Resume),
            Op::Elect(kept) => {
                let proposed = std::mem::take(&mut self.proposed);
                self.questions.clear();
                self.waiting.clear();
                let config = LeaderConfig::default();
                for (_, commands) in proposed.into_iter().filter(|_| kept) {
                    self.log.push(encode(&commands));
                    let index = LogIndex(self.log.len() as u64);
                    for command in commands {
                        self.cluster.apply(index, command);
                    }
                    invariant::check_all(&self.cluster).unwrap();
                }
                let (leader, actions) = Leader::new(self.time(), config, &self.cluster);
                assert!(!actions.iter().any(|a| matches!(a, Action::Answer { .. })));
                self.leader = leader;
                for action in actions {
                    match action {
                        Action::Propose { tag, commands } => {
                            self.proposed.push_back((tag, commands))
                        }
                        action => self.questions.push_back(action),
                    }
                }
            }
            Op::Restore => {
                let restored = Cluster::decode(&self.cluster.encode()).unwrap();
                assert_eq!(restored, self.cluster);
                self.cluster = restored;
            }
        }
    }

    /// One asker asks and tells until the sweep is over.
    fn drain(&mut self) {
        self.control(SweepAction::Resume);
        for request in 1_000.. {
            assert!(request < 2_000, "the sweep does not end");
            let ended = |life: &Life| life.cluster.sweep(SWEEP).unwrap().state.is_terminal();
            while self.commit() || self.suggest() {}
            if ended(self) {
                return;
            }
            let had = self.given.len();
            self.ask(request);
            while self.commit() || self.suggest() {}
            assert!(!self.waiting.contains(&request), "an asker waits for ever");
            if self.given.len() == had {
                self.now += LIMIT_MS; // what others hold becomes free
                continue;
            }
            assert!(
                self.tell(had, Told::Value { value: 0.5 }),
                "{:?}",
                self.given.last()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_trial_is_given_twice_and_nothing_told_is_lost(
        scheduler in prop::sample::select(vec![
            "{ kind: none }",
            "{ kind: median, min: 2, startup: 2 }",
            "{ kind: asha, min: 1, max: 9, eta: 2 }",
            "{ kind: hyperband, min: 1, max: 9, eta: 2 }",
            "{ kind: pasha, min: 1, max: 9, eta: 2 }",
            "{ kind: bohb, min: 1, max: 9, eta: 2 }",
            "{ kind: wilcoxon, threshold: 0.3 }",
            "{ kind: plateau, patience: 2 }",
        ]),
        ops in prop::collection::vec(op(), 1..160),
    ) {
        let mut life = Life::new(scheduler);
        for op in ops {
            life.run(op);
        }
        life.drain();
        let sweep = life.cluster.sweep(SWEEP).unwrap();
        for (number, value) in &life.told {
            let trial = sweep.trial(*number).unwrap();
            prop_assert_eq!(trial.state, TrialState::Completed);
            prop_assert_eq!(trial.observations.last().unwrap().value, *value);
            prop_assert!(trial.value.unwrap() <= *value);
        }
        // A plateau and the last rung are ends that nobody tells.
        for trial in sweep.trials().iter().filter(|t| t.state == TrialState::Completed) {
            let at_top = || scheduler.contains("max") && trial.epochs() >= 9;
            let is_told = life.told.contains_key(&trial.number);
            prop_assert!(is_told || scheduler.contains("plateau") || at_top());
        }
        prop_assert_eq!(sweep.sampled, 12);
        prop_assert!(matches!(sweep.state, SweepState::Completed | SweepState::Failed));
        // A replay comes to the same state.
        let mut replayed = Cluster::new();
        for (at, entry) in life.log.iter().enumerate() {
            for command in decode(entry).unwrap() {
                replayed.apply(LogIndex(at as u64 + 1), command);
            }
        }
        prop_assert!(replayed == life.cluster);
    }
}

/// A life whose first three trials are with askers.
fn three_given(scheduler: &str) -> Life {
    let mut life = Life::new(scheduler);
    for request in 1..=3 {
        life.ask(request);
        while life.commit() || life.suggest() {}
    }
    assert_eq!(life.given.len(), 3);
    life
}

/// Tells a value of a given trial: what the sampler learns, and whether to go on.
fn tell_value(life: &mut Life, n: usize, at: Option<u64>, value: f64) -> (Vec<Event>, bool) {
    let (trial, attempt) = life.given[n];
    let told = match at {
        Some(at) => Told::Intermediate { at, value },
        None => Told::Value { value },
    };
    let at = WallMs(life.now);
    let command = Command::Tell {
        trial,
        attempt,
        told,
        at,
    };
    let mut learned = Vec::new();
    let mut goes_on = false;
    for effect in life.apply(None, vec![command]) {
        match effect {
            Effect::Learned { event, .. } => learned.push(event),
            Effect::Told { proceed, .. } => goes_on = proceed,
            Effect::Refused(refusal) => panic!("{refusal:?}"),
            _ => {}
        }
    }
    (learned, goes_on)
}

#[test]
fn the_value_of_a_trial_over_instances_is_their_mean() {
    let mut life = three_given("{ kind: wilcoxon, threshold: 0.2 }");
    let value = |life: &Life, n: usize| life.cluster.trial(life.given[n].0).unwrap().value;
    let best = |life: &Life| life.cluster.sweep(SWEEP).unwrap().best;
    let mut learned = Vec::new();
    for (at, loss) in [(3, 1.0), (1, 2.0), (2, 3.0)] {
        let (events, goes_on) = tell_value(&mut life, 0, Some(at), loss);
        assert!(
            goes_on && events.is_empty(),
            "one instance says nothing: {events:?}"
        );
    }
    assert_eq!((value(&life, 0), best(&life)), (Some(2.0), None));
    learned.extend(tell_value(&mut life, 0, None, 2.5).0);
    assert_eq!((value(&life, 0), best(&life)), (Some(2.5), Some((2.5, 0))));
    // Worse on each: 1 / 8 after three.
    let goes_on: Vec<bool> = [(1, 4.0), (2, 5.0), (3, 6.0)]
        .into_iter()
        .map(|(at, loss)| {
            let (events, goes_on) = tell_value(&mut life, 1, Some(at), loss);
            learned.extend(events);
            goes_on
        })
        .collect();
    assert_eq!(goes_on, [true, true, false]);
    let pruned = life.cluster.trial(life.given[1].0).unwrap().into_owned();
    assert_eq!(
        (pruned.state, pruned.value),
        (TrialState::Pruned, Some(5.0))
    );
    assert!(
        pruned
            .reason
            .unwrap()
            .contains("worse than trial 0 on 3 instances")
    );
    let ended = |number, ending| Event::Ended { number, ending };
    let seen = |number, at, value| Event::Observed { number, at, value };
    let expected = [
        seen(0, 4, 2.5),
        ended(0, Ending::Completed),
        seen(1, 3, 5.0),
        ended(1, Ending::Pruned),
    ];
    assert_eq!(learned, expected);
    // A sampler that is built anew sees the same.
    let sweep = life.cluster.sweep(SWEEP).unwrap();
    let again = bonfire_domain::suggest::events(sweep)
        .into_iter()
        .map(|(_, event)| event);
    let again: Vec<Event> = again
        .filter(|e| !matches!(e, Event::Created { .. }))
        .collect();
    assert_eq!(again, expected);
}

#[test]
fn a_trial_on_a_plateau_is_completed_with_its_best_value() {
    let mut life = three_given("{ kind: plateau, patience: 2 }");
    for (at, loss, expected) in [
        (1, 3.0, true),
        (2, 1.0, true),
        (3, 1.5, true),
        (4, 1.0, false),
    ] {
        assert_eq!(
            tell_value(&mut life, 0, Some(at), loss).1,
            expected,
            "at {at}"
        );
    }
    let trial = life.cluster.trial(life.given[0].0).unwrap().into_owned();
    assert_eq!(
        (trial.state, trial.value),
        (TrialState::Completed, Some(1.0))
    );
    assert!(trial.reason.unwrap().contains("has converged"));
    // An asker that did not hear it hears it again.
    assert!(!tell_value(&mut life, 0, Some(5), 0.5).1);
}
