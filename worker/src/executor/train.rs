//! One attempt at a trial that trains: model, data and checkpoint put together, then step after step.

use std::thread::JoinHandle;
use std::time::Instant;

use bonfire_data::Loader;
use bonfire_domain::Digest;
use bonfire_domain::checkpoint::{CHECKPOINT_FORMAT, CheckpointManifest};
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::metric::Point;
use bonfire_domain::spec::MODEL_PARAMETERS;
use bonfire_engine::step::train_step;
use bonfire_engine::{StepReport, TrainError, Trainer, TrainerConfig, build};

use super::frame::{ExecutorEvent, Written};
use super::main::lower_priority;
use super::means::Means;
use super::rows::Rows;
use super::saved;
use super::trial::{Boundary, Trial, end_on_order};
use crate::clock;

/// The mean over the steps of an epoch that were read back, weighted by their samples.
const TRAIN_LOSS: &str = "train.loss";

/// Added to the niceness of the thread that writes a checkpoint.
const WRITER_NICE: i32 = 9;

/// Trains from the checkpoint, or the start, to `order.until` epochs.
pub(super) fn run(trial: Trial<'_>, numerics: &str) -> AttemptEnd {
    match Training::start(trial, numerics.to_owned()) {
        Ok(mut training) => {
            training.log_start();
            let end = training.run();
            // What is being written belongs to this attempt: it is told of before its end.
            let written = training.finish_writing();
            let end = match (end, written) {
                (Ok(AttemptEnd::Reached | AttemptEnd::Yielded), Err(end)) | (Err(end), _) => end,
                (Ok(end), _) => end,
            };
            eprintln!("at step {}: {end}", training.step);
            end
        }
        Err(end) => {
            eprintln!("before the first step: {end}");
            end
        }
    }
}

struct Training<'a> {
    trial: Trial<'a>,
    rows: Rows,
    trainer: Box<dyn Trainer>,
    steps_per_epoch: u64,
    /// Steps done.
    step: u64,
    /// The step of the last checkpoint, 0 where there is none.
    saved: u64,
    best: Option<f64>,
    exact: bool,
    numerics: String,
    spec: Digest,
    means: Means,
    writer: Option<JoinHandle<std::io::Result<()>>>,
    reported: Instant,
    samples: u64,
}

/// What an evaluation gave.
#[derive(Default)]
struct Evaluation {
    metrics: Vec<(String, f64)>,
    value: Option<f64>,
}

impl<'a> Training<'a> {
    fn start(trial: Trial<'a>, numerics: String) -> Result<Training<'a>, AttemptEnd> {
        let data = trial.begin.data.as_ref();
        let data = data.ok_or_else(|| failed(Failure::Unusable, "the trial needs data"))?;
        let rows = Rows::open(&trial.spec, data).map_err(|e| {
            failed(
                if e.is_users() {
                    Failure::Unusable
                } else {
                    Failure::Io
                },
                e,
            )
        })?;
        let steps_per_epoch = rows.steps_per_epoch();
        let trainer = build(&TrainerConfig {
            spec: &trial.spec,
            input: &rows.manifest.input,
            output: &rows.manifest.output,
            total_steps: steps_per_epoch.saturating_mul(trial.spec.budget()),
            steps_per_epoch,
            device: trial.spec.train.device.clone(),
        });
        let mut training = Training {
            trainer: trainer.map_err(of_train_error)?,
            spec: Digest::of(trial.spec.canonical().as_bytes()),
            numerics,
            trial,
            rows,
            steps_per_epoch,
            step: 0,
            saved: 0,
            best: None,
            exact: true,
            means: Means::default(),
            writer: None,
            reported: Instant::now(),
            samples: 0,
        };
        training.resume()?;
        Ok(training)
    }

    /// The first line of the attempt's log, which is what this process writes to stderr.
    fn log_start(&self) {
        let manifest = &self.rows.manifest;
        let from = match self.step {
            0 => String::new(),
            step => format!("; from step {step}"),
        };
        eprintln!(
            "{} with {} weights; {} rows of train and {} of valid, {} steps an epoch{from}",
            self.trial.spec.model.kind(),
            self.trainer.parameters(),
            manifest.train.rows,
            manifest.valid.rows,
            self.steps_per_epoch,
        );
    }

    /// Goes on from the order's checkpoint.
    fn resume(&mut self) -> Result<(), AttemptEnd> {
        let Some(from) = &self.trial.begin.order.from else {
            return Ok(());
        };
        let damaged =
            |detail: String| failed(Failure::DamagedCheckpoint { step: from.step }, detail);
        let Some(checkpoint) = &self.trial.begin.resume else {
            return Err(damaged("it has no manifest".into()));
        };
        let manifest = &checkpoint.manifest;
        let state = saved::read(checkpoint).map_err(|e| damaged(e.to_string()))?;
        if manifest
            .prepared
            .is_some_and(|prepared| prepared != self.rows.digest)
        {
            let detail = format!(
                "the checkpoint at step {} was trained on other data",
                from.step
            );
            return Err(failed(Failure::Unusable, detail));
        }
        let own = manifest.spec == self.spec;
        self.trainer.load(&state).map_err(|error| match error {
            TrainError::Saved(error) if own => damaged(error.to_string()),
            // A fork may have changed the model.
            error => failed(Failure::Unusable, error),
        })?;
        // A fork may have another batch, and so other steps; its checkpoint counts in whole epochs.
        self.step = if own {
            manifest.step
        } else {
            manifest.epoch * self.steps_per_epoch
        };
        self.saved = self.step;
        self.best = manifest.best.filter(|_| own);
        self.exact = manifest.exact && manifest.numerics == self.numerics;
        if own {
            self.means = Means::read(&manifest.metrics);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<AttemptEnd, AttemptEnd> {
        self.trial.started(self.step);
        self.trial.outbox.flush();
        let until = self
            .trial
            .begin
            .order
            .until
            .saturating_mul(self.steps_per_epoch);
        let io = |e: std::io::Error| failed(Failure::Io, format!("cannot start the loader: {e}"));
        let mut loader = self.rows.load(self.step, until).map_err(io)?;
        self.reported = Instant::now();
        let mut alive = Instant::now();
        while self.step < until {
            if let Some(save) = self.trial.end_asked() {
                if save && self.step > self.saved {
                    self.write(Evaluation::default())?;
                }
                return Ok(end_on_order(save));
            }
            let at = self.step_once(&mut loader, until)?;
            let evaluation = if self.trial.evaluates_at(at) {
                self.evaluate(at)?
            } else {
                Evaluation::default()
            };
            if at.epoch_ends {
                self.means = Means::default();
            }
            if at.last || at.hits(self.trial.spec.checkpoint.every) {
                self.write(evaluation)?;
            }
            if alive.elapsed().as_millis() >= 100 {
                alive = Instant::now();
                let (trial, attempt) = self.trial.id();
                self.trial
                    .outbox
                    .send(&ExecutorEvent::Progress { trial, attempt });
            }
        }
        Ok(AttemptEnd::Reached)
    }

    /// One optimiser step; says which boundary it led to.
    fn step_once(&mut self, loader: &mut Loader, until: u64) -> Result<Boundary, AttemptEnd> {
        let done = self.step + 1;
        let at = Boundary {
            step: done,
            epoch: done / self.steps_per_epoch,
            epoch_ends: done.is_multiple_of(self.steps_per_epoch),
            last: done == until,
        };
        let report =
            at.epoch_ends || done.is_multiple_of(u64::from(self.trial.spec.train.log_every.max(1)));
        let shards = self.trial.spec.virtual_shards();
        let batches = std::iter::from_fn(|| loader.next()).take(shards as usize);
        let batches = batches.map(|(wanted, batch)| (wanted.shard, batch));
        let stepped = train_step(self.trainer.as_mut(), self.step, batches, shards, report);
        let said = stepped.map_err(of_train_error)?;
        self.step = done;
        self.samples += said.samples;
        if report {
            self.report(at, &said);
        }
        Ok(at)
    }

    fn report(&mut self, at: Boundary, said: &StepReport) {
        let seconds = self.reported.elapsed().as_secs_f64().max(1e-9);
        let mut values = vec![
            ("lr".to_owned(), said.lr),
            ("grad_norm".to_owned(), said.grad_norm),
            (
                "samples_per_second".to_owned(),
                self.samples as f64 / seconds,
            ),
        ];
        // At its end an epoch has its own values, over the steps that were read back; in between a step has those of its batch.
        if let Some(loss) = said.loss {
            self.means.add(TRAIN_LOSS, loss, said.samples);
            let mean = self.means.of(TRAIN_LOSS).filter(|_| at.epoch_ends);
            values.push((TRAIN_LOSS.to_owned(), mean.unwrap_or(loss)));
        }
        self.means.count(&said.tally);
        let metrics = match at.epoch_ends {
            true => self.trainer.metrics_of(self.means.tally()),
            false => said.metrics.clone(),
        };
        let metrics = metrics.into_iter();
        values.extend(metrics.map(|(name, value)| (format!("train.{name}"), value)));
        self.reported = Instant::now();
        self.samples = 0;
        self.points(at, values);
        self.trial.outbox.flush();
    }

    fn points(&self, at: Boundary, values: Vec<(String, f64)>) {
        let time = clock::wall();
        let epoch = at.step as f64 / self.steps_per_epoch as f64;
        let point = |(key, value)| Point {
            key,
            step: at.step,
            epoch,
            value,
            time,
        };
        self.trial.points(values.into_iter().map(point).collect());
    }

    fn evaluate(&mut self, at: Boundary) -> Result<Evaluation, AttemptEnd> {
        let mut row = 0;
        let rows = &self.rows;
        let found = self
            .trainer
            .evaluate(&mut |into| rows.next_valid(&mut row, into));
        let found = found.map_err(of_train_error)?;
        let metrics: Vec<(String, f64)> = found
            .into_iter()
            .map(|(name, value)| (format!("valid.{name}"), value))
            .collect();
        self.points(at, metrics.clone());
        let objective = &self.trial.spec.objective;
        let mut told = metrics.clone();
        told.push((
            MODEL_PARAMETERS.to_owned(),
            self.trainer.parameters() as f64,
        ));
        let named = told.iter().find(|(key, _)| *key == objective.metric);
        let value = named.map(|(_, value)| *value);
        let value = value.or_else(|| self.train_value(&objective.metric));
        if let Some(value) = value {
            if !value.is_finite() {
                let detail = format!("{} is {value}", objective.metric);
                return Err(failed(Failure::NonFinite { step: at.step }, detail));
            }
            if self
                .best
                .is_none_or(|best| objective.goal.better(value, best))
            {
                self.best = Some(value);
            }
            self.trial.observed(at, value, told);
        }
        self.trial.outbox.flush();
        // Rates are those of training alone.
        self.reported = Instant::now();
        self.samples = 0;
        Ok(Evaluation { metrics, value })
    }

    /// A train metric over the running epoch.
    fn train_value(&self, metric: &str) -> Option<f64> {
        if metric == TRAIN_LOSS {
            return self.means.of(metric);
        }
        let name = metric.strip_prefix("train.")?;
        let metrics = self.trainer.metrics_of(self.means.tally());
        metrics.into_iter().find(|m| m.0 == name).map(|m| m.1)
    }

    /// Takes the state as it is and writes it in the background, training on meanwhile; at most one is being written.
    fn write(&mut self, evaluation: Evaluation) -> Result<(), AttemptEnd> {
        self.finish_writing()?;
        let snapshot = self.trainer.snapshot().map_err(of_train_error)?;
        let (trial, attempt) = self.trial.id();
        let (step, epoch) = (self.step, self.step / self.steps_per_epoch);
        let mut metrics = evaluation.metrics;
        metrics.extend(self.means.write());
        let manifest = CheckpointManifest {
            format: CHECKPOINT_FORMAT,
            step,
            epoch,
            best: self.best,
            spec: self.spec,
            prepared: Some(self.rows.digest),
            numerics: self.numerics.clone(),
            exact: self.exact,
            threads: Some(bonfire_engine::threads()),
            metrics,
            parts: Vec::new(),
        };
        let dir = self.trial.begin.spool.join(step.to_string());
        let outbox = self.trial.outbox.clone();
        let mut full = self.trial.space_waiter(step);
        let value = evaluation.value;
        let writing = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                // It takes what training leaves; when training waits for it, that is everything.
                lower_priority(WRITER_NICE);
                let (manifest, chunks) = saved::write(&dir, manifest, snapshot, &mut full)?;
                let manifest = Some(manifest);
                let written = Written {
                    trial,
                    attempt,
                    step,
                    epoch,
                    value,
                    dir,
                    manifest,
                    chunks,
                };
                outbox.send(&ExecutorEvent::Checkpoint(Box::new(written)));
                Ok(())
            });
        self.writer = Some(writing.map_err(|e| failed(Failure::Io, e))?);
        self.saved = step;
        Ok(())
    }

    /// Waits for the checkpoint that is being written.
    ///
    /// # Errors
    /// It was not written: the attempt ends, since a trial that cannot save cannot be resumed either.
    fn finish_writing(&mut self) -> Result<(), AttemptEnd> {
        match self.writer.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(failed(
                Failure::Io,
                format!("cannot write a checkpoint: {error}"),
            )),
            Some(Err(_)) => Err(failed(Failure::Panicked, "while writing a checkpoint")),
        }
    }
}

fn failed(failure: Failure, detail: impl ToString) -> AttemptEnd {
    AttemptEnd::Failed {
        failure,
        detail: detail.to_string(),
    }
}

/// Whose fault a trainer's refusal is.
fn of_train_error(error: TrainError) -> AttemptEnd {
    let failure = match &error {
        TrainError::Unsupported { .. } | TrainError::Device(_) => Failure::Unusable,
        TrainError::NonFinite { step, .. } => Failure::NonFinite { step: *step },
        // Bugs of ours end an attempt as a panic would.
        TrainError::Batch { .. }
        | TrainError::EmptyStep { .. }
        | TrainError::Reduce(_)
        | TrainError::Saved(_)
        | TrainError::Backend(_) => Failure::Panicked,
    };
    // The failure says it all.
    let detail = match &error {
        TrainError::NonFinite { what, .. } => {
            format!("the {what}; a lower learning rate or optimizer.clip_norm may help")
        }
        _ => error.to_string(),
    };
    failed(failure, detail)
}
