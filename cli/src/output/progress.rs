//! How far something is, on stderr: bars on a terminal, a plain line every few seconds otherwise.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use bonfire_domain::view::{
    BestDocument, RUNNING_MAX, RungDocument, SweepDocument, SweepRow, TrialRow,
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Output, say, text};

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// What takes less than this shows nothing.
const SILENT: Duration = Duration::from_secs(1);

enum Mode {
    Quiet,
    Lines { last: Option<Instant> },
    Terminal,
}

fn mode(output: Output) -> Mode {
    if output.quiet {
        Mode::Quiet
    } else if std::io::stderr().is_terminal() {
        Mode::Terminal
    } else {
        Mode::Lines { last: None }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Bytes or rows on their way from one place to another.
pub struct Transfer {
    what: String,
    unit: &'static str,
    mode: Mode,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Transfer {
    /// `unit` is `bytes`, `rows` or `trials`.
    pub fn new(output: Output, what: impl Into<String>, unit: &'static str) -> Transfer {
        Transfer {
            what: what.into(),
            unit,
            mode: mode(output),
            began: Instant::now(),
            bar: None,
        }
    }

    pub fn update(&mut self, done: u64, total: Option<u64>) {
        if self.began.elapsed() < SILENT {
            return;
        }
        match &mut self.mode {
            Mode::Quiet => {}
            Mode::Terminal => {
                let (what, unit) = (self.what.clone(), self.unit);
                let bar = self.bar.get_or_insert_with(|| bar(&what, unit, total));
                bar.set_position(done);
            }
            Mode::Lines { last } => {
                if last.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    *last = Some(Instant::now());
                    say(&format!(
                        "{}: {}",
                        self.what,
                        amount(done, total, self.unit)
                    ));
                }
            }
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, unit: &str, total: Option<u64>) -> ProgressBar {
    let amount = if unit == "bytes" {
        "{bytes}/{total_bytes} {bytes_per_sec} {eta}".to_owned()
    } else {
        format!("{{human_pos}}/{{human_len}} {unit} {{per_sec}} {{eta}}")
    };
    let bar = match total {
        Some(total) => {
            ProgressBar::new(total).with_style(style(&format!("{{msg}} {{wide_bar}} {amount}")))
        }
        None => ProgressBar::new_spinner(),
    };
    bar.with_message(what.to_owned())
}

fn amount(done: u64, total: Option<u64>, unit: &str) -> String {
    let size = |n: u64| {
        if unit == "bytes" {
            text::bytes(n)
        } else {
            format!("{n} {unit}")
        }
    };
    match total {
        Some(total) if total > 0 => format!(
            "{} of {} ({} %)",
            size(done),
            size(total),
            done * 100 / total
        ),
        _ => size(done),
    }
}

/// How a sweep is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    pub sweep: String,
    pub state: String,
    /// Why nothing runs, where the fleet has no place for it.
    pub reason: Option<String>,
    pub metric: String,
    pub counts: BTreeMap<String, u32>,
    /// `limit.trials`, where it is known.
    pub limit: Option<u32>,
    pub best: Option<BestDocument>,
    pub seconds: f64,
    pub running: Vec<TrialRow>,
    /// Empty where trials are not looked at one by one.
    pub rungs: Vec<RungDocument>,
    /// Epochs of all trials.
    pub epochs: u64,
}

impl Glance {
    pub fn of(document: &SweepDocument, limit: Option<u32>) -> Glance {
        let mut counts = BTreeMap::new();
        for trial in &document.trials {
            *counts.entry(trial.state.clone()).or_default() += 1;
        }
        let running = document.trials.iter().filter(|t| t.state == "running");
        Glance {
            sweep: document.sweep.clone(),
            state: document.state.clone(),
            reason: document.reason.clone(),
            metric: document.objective.metric.clone(),
            counts,
            limit,
            best: document.best.clone(),
            seconds: document.seconds,
            running: running.take(RUNNING_MAX).cloned().collect(),
            rungs: document.rungs.clone(),
            epochs: document.trials.iter().map(|t| t.epochs).sum(),
        }
    }

    /// From a sweep's summary, which has no trials.
    pub fn of_row(row: &SweepRow) -> Glance {
        Glance {
            sweep: row.sweep.clone(),
            state: row.state.clone(),
            reason: row.reason.clone(),
            metric: row.objective.metric.clone(),
            counts: row.counts.clone(),
            limit: row.limit,
            best: row.best.clone(),
            seconds: row.seconds,
            running: row.running.clone(),
            rungs: Vec::new(),
            epochs: 0,
        }
    }

    pub fn count(&self, state: &str) -> u32 {
        self.counts.get(state).copied().unwrap_or(0)
    }

    /// Trials that ended or wait at a rung, from which most never go on.
    fn done(&self) -> u32 {
        let states = ["completed", "pruned", "failed", "cancelled", "paused"];
        states.iter().map(|s| self.count(s)).sum()
    }

    /// Seconds that are left if the rest goes as the part before: by epochs where it is known how far trials train, else by
    /// trials.
    fn eta(&self) -> Option<f64> {
        let (done, all) = match self.planned_epochs() {
            Some(epochs) => (self.epochs, epochs),
            None => (u64::from(self.done()), u64::from(self.limit?)),
        };
        let is_running = self.state == "running" && done > 0 && all > done;
        is_running.then(|| self.seconds * (all - done) as f64 / done as f64)
    }

    fn planned_epochs(&self) -> Option<u64> {
        let mut before = 0;
        let mut epochs = 0;
        for rung in &self.rungs {
            epochs += (rung.at - before) * u64::from(rung.planned?);
            before = rung.at;
        }
        (epochs > 0).then_some(epochs)
    }

    /// `rungs 1: 36, 3: 12, 9: 4`, where there are several.
    fn climbed(&self) -> Option<String> {
        let rungs = self.rungs.iter().filter(|rung| rung.trials > 0);
        let rungs: Vec<String> = rungs
            .map(|rung| format!("{}: {}", rung.at, rung.trials))
            .collect();
        (self.rungs.len() > 1 && !rungs.is_empty()).then(|| format!("rungs {}", rungs.join(", ")))
    }

    /// One plain line.
    pub fn line(&self) -> String {
        self.parts().join("; ")
    }

    /// Trials an hour or a minute, and what is left; empty where neither is known.
    fn pace(&self) -> String {
        let done = f64::from(self.done());
        let mut parts = Vec::new();
        if done > 0.0 && self.seconds > 0.0 {
            let a_minute = 60.0 * done / self.seconds;
            parts.push(match a_minute >= 1.0 {
                true => format!("{a_minute:.0}/min"),
                false => format!("{:.1}/h", 60.0 * a_minute),
            });
        }
        parts.extend(self.left());
        parts.join(", ")
    }

    fn left(&self) -> Option<String> {
        let eta = self.eta()?;
        Some(format!("about {} left", text::seconds(eta)))
    }

    fn parts(&self) -> Vec<String> {
        let total: u32 = self.counts.values().sum();
        let of = self
            .limit
            .filter(|limit| *limit >= total)
            .map_or(String::new(), |limit| format!(" of {limit}"));
        let states = [
            "running",
            "pending",
            "paused",
            "completed",
            "pruned",
            "failed",
            "cancelled",
        ];
        let states: Vec<String> = states
            .iter()
            .filter(|s| self.count(s) > 0)
            .map(|s| format!("{} {s}", self.count(s)))
            .collect();
        let mut parts = vec![format!("{}: {total}{of} trials", self.sweep)];
        if !states.is_empty() {
            parts.push(states.join(", "));
        }
        parts.extend(self.climbed());
        parts.extend(
            self.reason
                .iter()
                .filter(|_| self.state == "running")
                .cloned(),
        );
        if let Some(best) = &self.best {
            parts.push(format!(
                "best {} {} by {}",
                self.metric,
                text::number(best.value),
                best.trial
            ));
        }
        parts.push(text::seconds(self.seconds));
        parts.extend(self.left());
        parts.iter().map(|part| text::visible(part)).collect()
    }

    /// The running trials, a line each.
    fn table(&self) -> String {
        let mut out = String::new();
        for t in &self.running {
            let value = text::optional(t.value);
            let worker = t.worker.iter().map(|worker| format!(" on {worker}"));
            let line = format!(
                "  {}{}  epoch {}  {} {value}  {}",
                t.trial,
                worker.collect::<String>(),
                t.epochs,
                self.metric,
                text::parameters(&t.parameters)
            );
            out.push_str(&text::cut(&text::visible(&line), 99));
            out.push('\n');
        }
        let more = (self.count("running") as usize).saturating_sub(self.running.len());
        if more > 0 && !self.running.is_empty() {
            out.push_str(&format!("  and {more} more\n"));
        }
        out.push_str(&text::wrap(&self.parts(), "; ", 99));
        out
    }
}

/// A sweep while it runs.
pub struct Live {
    mode: Mode,
    bars: Option<(MultiProgress, ProgressBar, ProgressBar)>,
}

impl Live {
    pub fn new(output: Output) -> Live {
        Live {
            mode: mode(output),
            bars: None,
        }
    }

    pub fn show(&mut self, glance: &Glance) {
        match &mut self.mode {
            Mode::Quiet => {}
            Mode::Lines { last } => {
                if last.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    *last = Some(Instant::now());
                    say(&glance.line());
                }
            }
            Mode::Terminal => {
                let (_, bar, table) = self.bars.get_or_insert_with(|| bars(glance));
                bar.set_position(u64::from(glance.done()));
                bar.set_message(glance.pace());
                table.set_message(glance.table());
            }
        }
    }

    /// A line that stays, above the table.
    pub fn note(&self, line: &str) {
        match (&self.mode, &self.bars) {
            (Mode::Quiet, _) => {}
            (_, Some((all, _, _))) => {
                let _ = all.println(line);
            }
            (_, None) => say(line),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some((all, bar, table)) = &self.bars {
            bar.finish_and_clear();
            table.finish_and_clear();
            let _ = all.clear();
        }
    }
}

fn bars(glance: &Glance) -> (MultiProgress, ProgressBar, ProgressBar) {
    let all = MultiProgress::new();
    let bar = match glance.limit {
        Some(limit) => ProgressBar::new(u64::from(limit)).with_style(style(
            "{elapsed_precise} {wide_bar} {pos}/{len} trials {msg}",
        )),
        None => ProgressBar::new_spinner()
            .with_style(style("{elapsed_precise} {spinner} {pos} trials {msg}")),
    };
    let bar = all.add(bar);
    let table = all.add(ProgressBar::new_spinner().with_style(style("{msg}")));
    bar.enable_steady_tick(Duration::from_millis(250));
    (all, bar, table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(counts: &[(&str, u32)], limit: Option<u32>) -> Glance {
        let best = BestDocument {
            trial: "a-1/7".into(),
            value: 0.5,
            parameters: BTreeMap::new(),
        };
        Glance {
            sweep: "a-1".into(),
            state: "running".into(),
            reason: None,
            metric: "valid.loss".into(),
            counts: counts.iter().map(|(s, n)| ((*s).to_owned(), *n)).collect(),
            limit,
            best: Some(best),
            seconds: 10.0,
            running: vec![],
            rungs: vec![],
            epochs: 0,
        }
    }

    #[track_caller]
    fn check(counts: &[(&str, u32)], limit: Option<u32>, expected: &str) {
        assert_eq!(glance(counts, limit).line(), expected);
    }

    #[test]
    fn a_line_says_how_a_sweep_is_doing() {
        check(
            &[("running", 2), ("completed", 4), ("pruned", 1)],
            Some(20),
            "a-1: 7 of 20 trials; 2 running, 4 completed, 1 pruned; best valid.loss 0.5 by a-1/7; 10 s; about 30 s left",
        );
        check(
            &[("completed", 5)],
            None,
            "a-1: 5 trials; 5 completed; best valid.loss 0.5 by a-1/7; 10 s",
        );
        check(
            &[("pending", 1)],
            Some(1),
            "a-1: 1 of 1 trials; 1 pending; best valid.loss 0.5 by a-1/7; 10 s",
        );
    }

    #[test]
    fn rungs_say_how_far_trials_got_and_how_long_it_takes() {
        let rung = |at, trials, planned| RungDocument {
            at,
            trials,
            planned,
        };
        let mut found = glance(&[("running", 2), ("paused", 7)], Some(9));
        found.rungs = vec![
            rung(1, 8, Some(9)),
            rung(3, 2, Some(3)),
            rung(9, 0, Some(1)),
        ];
        found.epochs = 14; // of 9 + 2 * 3 + 6 * 1
        let line = "a-1: 9 of 9 trials; 2 running, 7 paused; rungs 1: 8, 3: 2; best valid.loss 0.5 by a-1/7; 10 s; about 5 s left";
        assert_eq!(found.line(), line);
        found.rungs.truncate(1);
        found.epochs = 6;
        let line = "a-1: 9 of 9 trials; 2 running, 7 paused; best valid.loss 0.5 by a-1/7; 10 s; about 5 s left";
        assert_eq!(found.line(), line);
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!(amount(512, Some(1024), "bytes"), "512 B of 1.0 KiB (50 %)");
        assert_eq!(amount(5, None, "rows"), "5 rows");
        assert_eq!(amount(0, Some(0), "rows"), "0 rows");
    }
}
