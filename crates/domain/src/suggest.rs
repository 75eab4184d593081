//! The samplers of all open sweeps, fed with events and asked for trials.
//!
//! The coordinator keeps one for each sweep, on a thread of its own, the simulation one for all inline. Its answers are a function of the log alone: rebuilt
//! from the cluster it gives the same suggestion for the same number.

use std::collections::BTreeMap;

use bonfire_search::{
    Assignment, Ending, Event, Explanation, PriorTrial, Sampler, SamplerKind, Suggestion,
};

use crate::cluster::{self, Cluster, Sweep, Trial};
use crate::id::{LogIndex, SweepId};
use crate::spec::Spec;

#[derive(Clone, Debug)]
enum Source {
    /// A spec without `search:`: one trial, no parameters.
    Single,
    Sampler(Box<Sampler>),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Suggester {
    sources: BTreeMap<SweepId, Source>,
}

impl Suggester {
    pub fn new() -> Suggester {
        Suggester::default()
    }

    /// Starts again from the replicated state alone.
    pub fn rebuild(&mut self, cluster: &Cluster) {
        self.sources.clear();
        for sweep in cluster.sweeps().filter(|s| !s.state.is_terminal()) {
            self.rebuild_sweep(cluster, sweep.id);
        }
    }

    /// Starts one sweep again from the replicated state alone.
    pub fn rebuild_sweep(&mut self, cluster: &Cluster, sweep: SweepId) {
        self.sources.remove(&sweep);
        if let Some(sweep) = cluster.sweep(sweep) {
            self.add_sweep(sweep.id, &sweep.spec, sweep.sources());
            for (index, event) in events(sweep) {
                self.learn(sweep.id, index, &event);
            }
        }
    }

    /// `prior`: what it took over from other sweeps.
    pub fn add_sweep(&mut self, sweep: SweepId, spec: &Spec, prior: &[cluster::Source]) {
        let source = match &spec.search {
            None => Some(Source::Single),
            Some(_) => spec.sampler().map(|sampler| {
                let searches = prior.iter().map(|source| source.trials.clone());
                let searches: Vec<Vec<PriorTrial>> = searches.collect();
                Source::Sampler(Box::new(sampler.learning_from(&searches)))
            }),
        };
        if let Some(source) = source {
            self.sources.entry(sweep).or_insert(source);
        }
    }

    pub fn remove_sweep(&mut self, sweep: SweepId) {
        self.sources.remove(&sweep);
    }

    /// Takes in an event of the sweep. Events come in log order.
    pub fn learn(&mut self, sweep: SweepId, _index: LogIndex, event: &Event) {
        if let Some(Source::Sampler(sampler)) = self.sources.get_mut(&sweep) {
            sampler.observe(event);
        }
    }

    /// Up to `count` assignments from number `first` on, and why no more will come if that is known.
    ///
    /// Each suggestion sees those before it as created. A sweep that it does not know gets none, and no reason.
    pub fn suggest(
        &self,
        sweep: SweepId,
        first: u32,
        count: u32,
    ) -> (Vec<Assignment>, Option<String>) {
        let sampler = match self.sources.get(&sweep) {
            // Not told of it yet, or not any more: that says nothing about the space.
            None => return (vec![], None),
            Some(Source::Single) if first == 0 => {
                return (vec![Assignment::new()], Some("one trial".to_owned()));
            }
            Some(Source::Single) => return (vec![], Some("one trial".to_owned())),
            Some(Source::Sampler(sampler)) => sampler,
        };
        let mut given = Vec::with_capacity(count as usize);
        for suggestion in sampler.suggest_many(first, count) {
            match suggestion {
                Suggestion::Trial(parameters) => given.push(parameters),
                Suggestion::Exhausted { reason } => return (given, Some(reason)),
            }
        }
        (given, None)
    }
}

/// What the sampler of a sweep would suggest next and why, and why no more comes if that is known.
pub fn explain(cluster: &Cluster, sweep: &Sweep, count: u32) -> (Vec<Explanation>, Option<String>) {
    let mut suggester = Suggester::new();
    suggester.rebuild_sweep(cluster, sweep.id);
    match suggester.sources.get(&sweep.id) {
        Some(Source::Sampler(sampler)) => match observer(sweep, sampler) {
            Some(observer) => sampler.explain(&observer, sweep.next, count),
            None => sampler.explain(sampler, sweep.next, count),
        },
        _ => (vec![], Some("without search there is one trial".to_owned())),
    }
}

/// A sampler that saw the same events and looks at them, where the sweep's own does not.
fn observer(sweep: &Sweep, sampler: &Sampler) -> Option<Sampler> {
    let search = sweep.spec.search.as_ref();
    let search =
        search.filter(|_| !sampler.looks_at_results() && sweep.spec.others().is_empty())?;
    let goal = sweep.spec.objective.goal;
    let observer = Sampler::new(SamplerKind::Gp, search.space.clone(), goal, search.seed);
    let mut observer = observer.ok()?;
    for (_, event) in events(sweep) {
        observer.observe(&event);
    }
    Some(observer)
}

/// Every event the sampler of a sweep saw, in log order.
pub fn events(sweep: &Sweep) -> Vec<(LogIndex, Event)> {
    let mut all: Vec<(LogIndex, u32, Event)> = Vec::new();
    for trial in sweep.trials() {
        all.extend(trial_events(sweep, &trial));
    }
    // Within one entry the order of the numbers is the order of application, and results commute.
    all.sort_by_key(|(index, number, _)| (*index, *number));
    all.into_iter().map(|(i, _, e)| (i, e)).collect()
}

/// Where values are of instances, a trial that is told or pruned says its mean at its end.
fn trial_events(sweep: &Sweep, trial: &Trial) -> Vec<(LogIndex, u32, Event)> {
    let (number, averages) = (trial.number, sweep.spec.averages());
    let created = Event::Created {
        number,
        parameters: trial.parameters.clone(),
    };
    let mut events = vec![(trial.created, number, created)];
    for seen in trial.observations.iter().filter(|_| !averages) {
        let event = sweep.event_of(number, seen);
        events.push((seen.index, number, event));
    }
    if let (Some(index), Some(ending)) = (trial.ended, trial.state.ending()) {
        if averages
            && matches!(ending, Ending::Completed | Ending::Pruned)
            && let Some((event, _)) = trial.mean_event()
        {
            events.push((index, number, event));
        }
        events.push((index, number, Event::Ended { number, ending }));
    }
    events
}
