//! Long stories of cluster, leader and session as text that anyone can read: `tests/golden/stories/*.txt`.
//!
//! `UPDATE_GOLDEN=1` writes them anew; read the difference before it is committed.
// Golden files are read and written here; the crate itself may not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::PathBuf;

use bonfire_domain::command::{Command, SweepAction};
use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};
use bonfire_domain::leader::{Action, Input, Time};
use bonfire_domain::order::{Fact, Order, Running, SlotFacts, WorkerFacts};
use bonfire_domain::{
    Cluster, Leader, LeaderConfig, LogIndex, Now, Suggester, SweepId, TrialId, WallMs, WorkerId,
    invariant, spec,
};

/// A fleet without processes: what the leader proposes is applied at once, what it orders is written down.
struct Story {
    cluster: Cluster,
    leader: Leader,
    suggester: Suggester,
    now: u64,
    index: u64,
    sequences: std::collections::BTreeMap<WorkerId, u64>,
    text: String,
}

impl Story {
    fn new() -> Story {
        let cluster = Cluster::new();
        let (leader, _) = Leader::new(Time::default(), LeaderConfig::default(), &cluster);
        Story {
            cluster,
            leader,
            suggester: Suggester::new(),
            now: 0,
            index: 0,
            sequences: Default::default(),
            text: String::new(),
        }
    }

    fn time(&self) -> Time {
        Time {
            now: Now(self.now),
            wall: WallMs(1_000_000 + self.now),
        }
    }

    fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn apply(&mut self, tag: Option<u64>, commands: Vec<Command>) {
        self.index += 1;
        let mut effects = Vec::new();
        for command in commands {
            effects.extend(self.cluster.apply(LogIndex(self.index), command));
        }
        invariant::check_all(&self.cluster).unwrap();
        self.suggester.rebuild(&self.cluster);
        self.lead(Input::Applied { tag, effects });
    }

    fn lead(&mut self, input: Input) {
        let actions = self.leader.step(self.time(), &self.cluster, input);
        for action in actions {
            match action {
                Action::Propose { tag, commands } => {
                    for command in &commands {
                        let line = describe(command);
                        self.say(&format!("  propose {line}"));
                    }
                    self.apply(Some(tag), commands);
                }
                Action::Order { worker, order } => {
                    let line = order_line(&order);
                    self.say(&format!("  to w{}: {line}", worker.0));
                }
                Action::Suggest {
                    sweep,
                    first,
                    count,
                    seen,
                } => {
                    let (parameters, exhausted) = self.suggester.suggest(sweep, first, count);
                    self.lead(Input::Suggested {
                        sweep,
                        first,
                        seen,
                        parameters,
                        exhausted,
                    });
                }
                Action::DeleteBlobs { chunks } => {
                    self.say(&format!("  delete {} blobs", chunks.len()));
                    self.lead(Input::BlobsDeleted { chunks });
                }
            }
        }
    }

    /// Runs an event under its headline and closes it with where everything stands.
    fn event(&mut self, headline: &str, input: Input) {
        self.say(headline);
        self.lead(input);
        self.stand();
    }

    fn stand(&mut self) {
        let mut line = String::from("  =>");
        for sweep in self.cluster.sweeps() {
            line.push_str(&format!(" {} {:?}:", sweep.name, sweep.state));
            for trial in sweep.trials() {
                let place = trial.place.map(|p| format!("@w{}", p.worker.0));
                line.push_str(&format!(
                    " {}:{}{}#{}",
                    trial.number,
                    trial.state.name(),
                    place.unwrap_or_default(),
                    trial.attempt.0
                ));
            }
        }
        self.say(&line);
    }

    fn submit(&mut self, text: &str) {
        let spec = spec::check(text.as_bytes(), &[]).unwrap();
        self.say(&format!("submit {}", spec.name));
        let command = Command::CreateSweep {
            request: self.index + 1,
            name: spec.name.clone(),
            spec: spec.canonical(),
            dataset: None,
            at: self.time().wall,
        };
        self.apply(None, vec![command]);
        self.stand();
    }

    fn join(&mut self, number: u64, slots: usize) {
        let slot = SlotFacts {
            device: "cpu".to_owned(),
        };
        let facts = WorkerFacts {
            worker: WorkerId(number),
            name: format!("w{number}"),
            slots: vec![slot; slots],
            labels: Default::default(),
            memory: 1 << 30,
            version: "1".to_owned(),
            numerics: "same".to_owned(),
        };
        let running = Running {
            facts_from: 1,
            ..Running::default()
        };
        self.sequences.insert(WorkerId(number), 1);
        self.event(
            &format!("w{number} joins"),
            Input::Connected { facts, running },
        );
    }

    fn fact(&mut self, number: u64, headline: &str, fact: Fact) {
        let worker = WorkerId(number);
        let sequence = self.sequences.get_mut(&worker).unwrap();
        let facts = vec![(*sequence, fact)];
        *sequence += 1;
        self.event(
            &format!("w{number}: {headline}"),
            Input::Facts { worker, facts },
        );
    }

    fn observe(&mut self, worker: u64, number: u32, epoch: u64, value: f64) {
        let (trial, attempt) = self.current(number);
        let fact = Fact::Observed {
            trial,
            attempt,
            step: epoch,
            epoch,
            value,
        };
        self.fact(
            worker,
            &format!("trial {number} has {value} at epoch {epoch}"),
            fact,
        );
    }

    fn end(&mut self, worker: u64, number: u32, end: AttemptEnd) {
        let (trial, attempt) = self.current(number);
        let headline = format!("trial {number} ended: {end}");
        let fact = Fact::Ended {
            trial,
            attempt,
            end,
        };
        self.fact(worker, &headline, fact);
    }

    fn current(&self, number: u32) -> (TrialId, bonfire_domain::Attempt) {
        let trial = TrialId {
            sweep: SweepId(0),
            number,
        };
        (trial, self.cluster.trial(trial).unwrap().attempt)
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.event(&format!("{ms} ms pass"), Input::Tick);
    }

    #[track_caller]
    fn is(self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/stories");
        let path = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &self.text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(golden == self.text, "{name} differs, now:\n{}", self.text);
    }
}

fn describe(command: &Command) -> String {
    match command {
        Command::Join { facts, .. } => format!("Join {}", facts.name),
        Command::Lose { worker, .. } => format!("Lose w{}", worker.0),
        Command::CreateTrials {
            first, parameters, ..
        } => format!("CreateTrials {} from {first}", parameters.len()),
        Command::StartAttempt {
            trial,
            attempt,
            place,
            ..
        } => format!(
            "StartAttempt {}#{} on w{}.{}",
            trial.number, attempt.0, place.worker.0, place.slot.0
        ),
        Command::Promote { trial, .. } => format!("Promote {}", trial.number),
        Command::Report { sequence, .. } => format!("Report {sequence}"),
        Command::Finish { ending, reason, .. } => format!("Finish {ending:?}: {reason}"),
        Command::Admit { admission, .. } => format!("Admit {admission:?}"),
        other => format!("{other:?}").split(' ').next().unwrap().to_owned(),
    }
}

fn order_line(order: &Order) -> String {
    match order {
        Order::Start(start) => {
            let from = start.from.as_ref().map_or(0, |c| c.step);
            format!(
                "Start {}#{} from step {from} until {}",
                start.trial.number, start.attempt.0, start.until
            )
        }
        Order::Stop {
            trial,
            attempt,
            save,
        } => format!("Stop {}#{} save {save}", trial.number, attempt.0),
        Order::Acknowledge { sequence } => format!("Acknowledge {sequence}"),
        other => format!("{other:?}"),
    }
}

fn noop(search: &str) -> String {
    format!(
        "kind: sweep\nversion: 1\nname: story\nmodel: {{ kind: noop, x: 0.5 }}\ntrain: {{ epochs: 9 }}\n{search}"
    )
}

const SOBOL: &str = "search:\n  sampler: { kind: sobol, seed: 1 }\n  scheduler: { kind: SCHEDULER }\n  limit: { trials: 3 }\n  \
    parameters:\n    model.x: { min: 0.0, max: 1.0 }\n";

#[test]
fn a_lost_worker_gives_its_trial_back() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(""));
    story.observe(1, 0, 1, 1.04);
    story.event(
        "w1 disconnects",
        Input::Disconnected {
            worker: WorkerId(1),
        },
    );
    story.pass(5_000);
    story.join(2, 1);
    story.pass(100);
    story.observe(2, 0, 9, 0.15);
    story.end(2, 0, AttemptEnd::Reached);
    story.is("lost_worker.txt");
}

#[test]
fn asha_pauses_promotes_and_prunes() {
    let mut story = Story::new();
    story.join(1, 1);
    let search = SOBOL.replace("SCHEDULER", "asha, min: 1, max: 9, eta: 3");
    story.submit(&noop(&search));
    for (number, value) in [(0, 1.3), (1, 1.1), (2, 1.2)] {
        story.observe(1, number, 1, value);
        story.end(1, number, AttemptEnd::Reached);
    }
    story.observe(1, 1, 3, 0.4);
    story.end(1, 1, AttemptEnd::Reached);
    story.is("asha.txt");
}

#[test]
fn faults_are_retried_with_backoff_and_counted() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop("retry: { attempts: 2 }\n"));
    story.end(1, 0, AttemptEnd::Lost(LostCause::Killed));
    story.pass(50);
    let panicked = || AttemptEnd::Failed {
        failure: Failure::Panicked,
        detail: "boom".to_owned(),
    };
    story.end(1, 0, panicked());
    story.pass(50);
    story.pass(50);
    story.end(1, 0, panicked());
    story.is("retries.txt");
}

#[test]
fn nan_is_never_retried() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(""));
    let failure = Failure::NonFinite { step: 3 };
    let detail = String::new();
    story.end(1, 0, AttemptEnd::Failed { failure, detail });
    story.is("not_finite.txt");
}

#[test]
fn a_paused_sweep_holds_and_goes_on() {
    let mut story = Story::new();
    story.join(1, 2);
    story.submit(&noop(&SOBOL.replace("SCHEDULER", "none")));
    let control = |action| {
        vec![Command::ControlSweep {
            sweep: SweepId(0),
            action,
            at: WallMs(0),
        }]
    };
    story.say("a user pauses");
    story.apply(None, control(SweepAction::Pause));
    story.stand();
    for number in 0..3 {
        story.end(1, number, AttemptEnd::Yielded);
    }
    story.say("a user resumes");
    story.apply(None, control(SweepAction::Resume));
    story.stand();
    story.say("a user cancels");
    story.apply(None, control(SweepAction::Cancel { save: false }));
    story.stand();
    for number in 0..3 {
        story.end(1, number, AttemptEnd::Stopped);
    }
    story.is("pause_resume_cancel.txt");
}

#[test]
fn a_sampler_that_does_not_know_the_sweep_yet_ends_nothing() {
    let mut story = Story::new();
    story.join(1, 1);
    let spec = spec::check(noop(&SOBOL.replace("SCHEDULER", "none")).as_bytes(), &[]).unwrap();
    let command = Command::CreateSweep {
        request: 1,
        name: spec.name.clone(),
        spec: spec.canonical(),
        dataset: None,
        at: WallMs(0),
    };
    let effects = story.cluster.apply(LogIndex(1), command);
    let applied = Input::Applied { tag: None, effects };
    let asked = story
        .leader
        .step(story.time(), &story.cluster, applied)
        .into_iter()
        .find_map(|action| match action {
            Action::Suggest {
                sweep, first, seen, ..
            } => Some((sweep, first, seen)),
            _ => None,
        });
    let (sweep, first, seen) = asked.unwrap();
    let (parameters, exhausted) = Suggester::new().suggest(sweep, first, 1);
    let unknown = Input::Suggested {
        sweep,
        first,
        seen,
        parameters,
        exhausted,
    };
    let actions = story.leader.step(story.time(), &story.cluster, unknown);
    assert_eq!(actions, [], "neither an end nor a question at once");
    let again = story.leader.step(story.time(), &story.cluster, Input::Tick);
    assert!(
        matches!(again[..], [Action::Suggest { first: 0, .. }]),
        "asked again with the next input: {again:?}"
    );
}
