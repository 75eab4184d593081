//! A fleet as text: each event with what follows from it.

use std::path::PathBuf;

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::command::{Command, Told};
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::effect::Effect;
use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::leader::{Action, Input, Time};
use bonfire_domain::order::{Fact, Order, Running, SlotFacts, WorkerFacts};
use bonfire_domain::{
    Attempt, Cluster, Digest, Leader, LeaderConfig, LogIndex, Now, Suggester, SweepId, TrialId,
    WallMs, WorkerId, invariant, spec,
};

/// What a worker with slots on the CPU says of itself.
pub fn facts(number: u64, slots: usize) -> WorkerFacts {
    let slot = SlotFacts {
        device: "cpu".to_owned(),
    };
    WorkerFacts {
        worker: WorkerId(number),
        name: format!("w{number}"),
        slots: vec![slot; slots],
        labels: Default::default(),
        memory: 1 << 30,
        version: "1".to_owned(),
        numerics: "same".to_owned(),
    }
}

/// A fleet without processes: what the leader proposes is applied at once, what it orders is written down.
pub struct Story {
    pub cluster: Cluster,
    pub leader: Leader,
    pub suggester: Suggester,
    pub now: u64,
    pub index: u64,
    sequences: std::collections::BTreeMap<WorkerId, u64>,
    pub text: String,
}

impl Story {
    pub fn new() -> Story {
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

    pub fn time(&self) -> Time {
        Time {
            now: Now(self.now),
            wall: WallMs(1_000_000 + self.now),
        }
    }

    pub fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub fn apply(&mut self, tag: Option<u64>, commands: Vec<Command>) {
        self.index += 1;
        let mut effects = Vec::new();
        for command in commands {
            effects.extend(self.cluster.apply(LogIndex(self.index), command));
        }
        invariant::check_all(&self.cluster).unwrap();
        self.suggester.rebuild(&self.cluster);
        self.lead(Input::Applied { tag, effects });
    }

    pub fn lead(&mut self, input: Input) {
        let actions = self.leader.step(self.time(), &self.cluster, input);
        self.act(actions);
    }

    pub fn act(&mut self, actions: Vec<Action>) {
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
                Action::Answer {
                    request, answer, ..
                } => {
                    self.say(&format!("  to asker {request}: {answer:?}"));
                }
                Action::DeleteBlobs { chunks } => {
                    self.say(&format!("  delete {} blobs", chunks.len()));
                    self.lead(Input::BlobsDeleted { chunks });
                }
            }
        }
    }

    /// Runs an event under its headline and closes it with where everything stands.
    pub fn event(&mut self, headline: &str, input: Input) {
        self.say(headline);
        self.lead(input);
        self.stand();
    }

    pub fn stand(&mut self) {
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

    pub fn submit(&mut self, text: &str) {
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

    pub fn join(&mut self, number: u64, slots: usize) {
        self.join_after(number, slots, None);
    }

    /// Joins in the folder of a dead worker.
    pub fn join_after(&mut self, number: u64, slots: usize, dead: Option<u64>) {
        self.join_as(facts(number, slots), dead);
    }

    /// Joins as what the facts say.
    pub fn join_as(&mut self, facts: WorkerFacts, dead: Option<u64>) {
        let number = facts.worker.0;
        let running = Running {
            facts_from: 1,
            replaces: dead.map(WorkerId),
            ..Running::default()
        };
        self.sequences.insert(WorkerId(number), 1);
        self.event(
            &format!("w{number} joins"),
            Input::Connected { facts, running },
        );
    }

    pub fn fact(&mut self, number: u64, headline: &str, fact: Fact) {
        let worker = WorkerId(number);
        let sequence = self.sequences.get_mut(&worker).unwrap();
        let facts = vec![(*sequence, fact)];
        *sequence += 1;
        self.event(
            &format!("w{number}: {headline}"),
            Input::Facts { worker, facts },
        );
    }

    pub fn observe(&mut self, worker: u64, number: u32, epoch: u64, value: f64) {
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

    pub fn save(&mut self, worker: u64, number: u32, epoch: u64, value: f64) {
        let (trial, attempt) = self.current(number);
        let text = format!("{number}@{epoch}");
        let blob = BlobRef {
            digest: Digest::of(text.as_bytes()),
            bytes: 1,
        };
        let checkpoint = Box::new(Checkpoint {
            step: epoch,
            epoch,
            attempt,
            manifest: None,
            chunks: vec![blob],
            value: Some(value),
            written: self.time().wall,
        });
        let fact = Fact::Checkpointed {
            trial,
            attempt,
            checkpoint,
        };
        self.fact(worker, &format!("trial {number} saved epoch {epoch}"), fact);
    }

    pub fn end(&mut self, worker: u64, number: u32, end: AttemptEnd) {
        let (trial, attempt) = self.current(number);
        let headline = format!("trial {number} ended: {end}");
        let fact = Fact::Ended {
            trial,
            attempt,
            end,
        };
        self.fact(worker, &headline, fact);
    }

    pub fn ask(&mut self, request: u64) {
        let sweep = SweepId(0);
        self.event(
            &format!("asker {request} asks"),
            Input::Asked { sweep, request },
        );
    }

    pub fn tell(&mut self, number: u32, attempt: u32, told: Told) {
        self.say(&format!("trial {number}, attempt {attempt}: {told:?}"));
        let command = Command::Tell {
            trial: self.current(number).0,
            attempt: Attempt(attempt),
            told,
            at: self.time().wall,
        };
        self.index += 1;
        let effects = self.cluster.apply(LogIndex(self.index), command);
        for effect in &effects {
            match effect {
                Effect::Refused(refusal) => self.say(&format!("  refused: {refusal}")),
                Effect::Told {
                    repeated, proceed, ..
                } => self.say(&format!("  repeated {repeated}, go on {proceed}")),
                _ => {}
            }
        }
        invariant::check_all(&self.cluster).unwrap();
        self.suggester.rebuild(&self.cluster);
        self.lead(Input::Applied { tag: None, effects });
        self.stand();
    }

    pub fn current(&self, number: u32) -> (TrialId, Attempt) {
        let trial = TrialId {
            sweep: SweepId(0),
            number,
        };
        (trial, self.cluster.trial(trial).unwrap().attempt)
    }

    pub fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.event(&format!("{ms} ms pass"), Input::Tick);
    }

    #[track_caller]
    pub fn is(self, name: &str) {
        let folder = PathBuf::from("tests/golden/stories");
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
        Command::Exploit {
            trial,
            number,
            parent,
            step,
            ..
        } => format!("Exploit {}: {number} from {parent}@{step}", trial.number),
        Command::Report { sequence, .. } => format!("Report {sequence}"),
        Command::Finish { ending, reason, .. } => format!("Finish {ending:?}: {reason}"),
        Command::Admit { admission, .. } => format!("Admit {admission:?}"),
        Command::Give {
            trial,
            attempt,
            request,
            ..
        } => format!("Give {}#{} to {request}", trial.number, attempt.0),
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
        Order::TakeBack { trial, attempt } => {
            format!("TakeBack {}#{}", trial.number, attempt.0)
        }
        other => format!("{other:?}"),
    }
}
