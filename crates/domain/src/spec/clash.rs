//! Fields that are fine by themselves and not together. Looks at a whole spec, never at its text, so that a trial's spec
//! is held to the same rules as the file.

use super::{
    ClassWeights, DataSpec, DeviceSpec, ModelSpec, SchedulerKind, SearchSpec, Spec, Task, defaults,
    objectives, suggest,
};

/// Fields that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// The field to show, then the others that have a part in it.
    pub(super) paths: Vec<&'static str>,
    pub(super) message: String,
}

/// Pairs of fields of which both may be searched and of which some values do not go together.
pub(super) const PAIRS: [(&str, &str); 3] = [
    ("model.heads", "model.width"),
    ("optimizer.nesterov", "optimizer.momentum"),
    ("data.batch", "train.virtual_shards"),
];

/// Every clash of a spec.
pub(super) fn find(spec: &Spec) -> Vec<Clash> {
    let mut found = Vec::new();
    match (&spec.data, spec.task) {
        (Some(data), Some(task)) => {
            find_in_data(data, task, &mut found);
            find_in_reading(&spec.model, data, task, &mut found);
            find_in_loss(spec, task, &mut found);
            if spec.virtual_shards() > data.batch {
                found.push(Clash::new(
                    &["data.batch", "train.virtual_shards"],
                    format!(
                        "{} is below train.virtual_shards {}",
                        data.batch,
                        spec.virtual_shards()
                    ),
                ));
            }
        }
        _ => {
            if spec.data.is_none() && spec.virtual_shards() > 1 {
                let message = "the no-op model has no batch to slice";
                found.push(Clash::new(&["train.virtual_shards"], message));
            }
        }
    }
    find_in_model(&spec.model, &mut found);
    find_in_normalisation(spec, &mut found);
    find_in_training(spec, &mut found);
    find_in_objective(spec, &mut found);
    found
}

impl Clash {
    fn new(paths: &[&'static str], message: impl Into<String>) -> Clash {
        Clash {
            paths: paths.to_vec(),
            message: message.into(),
        }
    }
}

fn find_in_data(data: &DataSpec, task: Task, found: &mut Vec<Clash>) {
    let mut push = |paths: &[&'static str], message: String| found.push(Clash::new(paths, message));
    if data.dataset.contains("://") {
        let message = "URLs are not in this version: give a file, a directory, a glob or a name";
        push(&["data.dataset"], message.into());
    }
    let (train, valid) = (data.split.train, data.split.valid);
    if train + valid > 1.0 + 1e-9 {
        let message = format!("{train} and valid {valid} are together more than all rows");
        push(&["data.split.train", "data.split.valid"], message);
    }
    match (&data.label, task) {
        (None, Task::Classification | Task::Regression) => {
            let message = format!("is required: the column that {} learns", task.name());
            push(&["data.label", "task", "model.kind"], message);
        }
        (Some(_), Task::LanguageModel) => {
            let message = "a language model learns the text itself: leave it out";
            push(&["data.label"], message.into());
        }
        _ => {}
    }
    if let Some(label) = &data.label {
        for (path, columns) in [("data.drop", &data.drop), ("data.features", &data.features)] {
            if columns.contains(label) {
                let message = format!("{label:?} is the label");
                push(
                    &[if path == "data.drop" {
                        "data.drop"
                    } else {
                        "data.features"
                    }],
                    message,
                );
            }
        }
    }
    if let Some(both) = data
        .features
        .iter()
        .find(|column| data.drop.contains(column))
    {
        push(&["data.drop"], format!("{both:?} is in features too"));
    }
    if let Some(image) = &data.image {
        let values: u64 = image.shape.iter().map(|side| u64::from(*side)).product();
        if image.shape.contains(&0) {
            let message = "is required with data.image: [channels, height, width]";
            push(&["data.image.shape"], message.into());
        } else if values > IMAGE_VALUES_MAX {
            let message = format!("{values} values an image, more than {IMAGE_VALUES_MAX}");
            push(&["data.image.shape"], message);
        }
        if data.text.is_some() {
            push(
                &["data.image", "data.text"],
                "a model reads an image or a text, not both".into(),
            );
        }
    }
}

/// Numbers in an image.
const IMAGE_VALUES_MAX: u64 = 1 << 24;

/// Whether the model can read what the data says it gets.
fn find_in_reading(model: &ModelSpec, data: &DataSpec, task: Task, found: &mut Vec<Clash>) {
    if data.image.is_some() && data.text.is_some() {
        return; // said before
    }
    let kind = model.kind();
    match model {
        ModelSpec::Transformer { .. } if data.image.is_some() => found.push(Clash::new(
            &["model.kind", "data.image"],
            "transformer reads text: take cnn or mlp, or leave data.image out",
        )),
        ModelSpec::Transformer { .. } | ModelSpec::Noop { .. } => {}
        _ if task == Task::LanguageModel => found.push(Clash::new(
            &["model.kind", "task"],
            format!("{kind} cannot be a language model: take transformer"),
        )),
        _ if data.text.is_some() => found.push(Clash::new(
            &["model.kind", "data.text"],
            format!("{kind} cannot read text: take transformer, or leave data.text out"),
        )),
        _ => {}
    }
}

fn find_in_loss(spec: &Spec, task: Task, found: &mut Vec<Clash>) {
    if task == Task::Classification {
        return;
    }
    let mut push = |path| found.push(Clash::new(&[path, "task"], "is for classification only"));
    if spec.loss.label_smoothing > 0.0 {
        push("loss.label_smoothing");
    }
    if spec.loss.class_weights != ClassWeights::None {
        push("loss.class_weights");
    }
}

fn find_in_model(model: &ModelSpec, found: &mut Vec<Clash>) {
    match model {
        ModelSpec::Transformer { heads, width, .. } if width % heads != 0 => {
            found.push(Clash::new(
                &["model.heads", "model.width"],
                format!("{heads} does not divide model.width {width}"),
            ));
        }
        ModelSpec::Cnn { kernel, .. } if kernel % 2 == 0 => {
            let message = format!("{kernel} is even: a kernel has a middle, so its side is odd");
            found.push(Clash::new(&["model.kernel"], message));
        }
        _ => {}
    }
}

/// Statistics of a batch need two samples. Whether the last batch of an epoch has them is known once the data is.
fn find_in_normalisation(spec: &Spec, found: &mut Vec<Clash>) {
    let Some(data) = spec
        .data
        .as_ref()
        .filter(|_| spec.model.normalises_batches())
    else {
        return;
    };
    let shards = spec.virtual_shards();
    if (1..2).contains(&(data.batch / shards)) {
        let message = format!(
            "{} in {shards} virtual shards leaves one a sample by itself, and batch normalisation needs 2: {} would do",
            data.batch,
            shards.saturating_mul(2)
        );
        found.push(Clash::new(
            &["data.batch", "train.virtual_shards", "model.norm"],
            message,
        ));
    }
}

fn find_in_training(spec: &Spec, found: &mut Vec<Clash>) {
    let mut push = |paths: &[&'static str], message: String| found.push(Clash::new(paths, message));
    let optimizer = &spec.optimizer;
    if optimizer.nesterov && optimizer.momentum == 0.0 {
        let message = "needs a momentum above 0".into();
        push(&["optimizer.nesterov", "optimizer.momentum"], message);
    }
    let gpu = spec.resources.gpu;
    if gpu > 0.0 && gpu < 1.0 {
        push(
            &["resources.gpu"],
            format!("{gpu} of a GPU is not in this version: 0 or 1"),
        );
    }
    match spec.train.device {
        DeviceSpec::Cuda(index) if gpu == 0.0 => {
            push(
                &["train.device", "resources.gpu"],
                format!("cuda:{index} needs resources.gpu: 1"),
            );
        }
        DeviceSpec::Cpu if gpu > 0.0 => {
            let message = format!("cpu does not use the GPU that resources.gpu {gpu} asks for");
            push(&["train.device", "resources.gpu"], message);
        }
        _ => {}
    }
    let measures = |search: &SearchSpec| !search.require.metrics().is_empty();
    if spec.averages() && spec.search.as_ref().is_some_and(measures) {
        let message = "wilcoxon compares results on instances, and metrics are of a whole trial: \
                       leave metrics out of search.require, or take another scheduler";
        push(&["search.require", "search.scheduler.kind"], message.into());
    }
    let kind = spec.search.as_ref().map(|search| search.scheduler);
    if !spec.others().is_empty() && kind.is_some_and(|kind| kind != SchedulerKind::None) {
        let message = "a scheduler compares one value: with search.objectives take none";
        push(&["search.scheduler.kind", objectives::PATH], message.into());
    }
    let epochs = spec.budget();
    let Some(scheduler) = spec.search.as_ref().map(|search| search.scheduler) else {
        return;
    };
    match (scheduler.min(), scheduler.max()) {
        (_, Some(max)) if max > epochs => {
            let paths = ["search.scheduler.max", "train.epochs"];
            push(&paths, format!("{max} is above train.epochs {epochs}"));
        }
        (Some(min), Some(max)) if min > max => {
            let paths = ["search.scheduler.min", "search.scheduler.max"];
            push(&paths, format!("{min} is above max {max}"));
        }
        (Some(min), None) if min > epochs => {
            let paths = ["search.scheduler.min", "train.epochs"];
            push(&paths, format!("{min} is above train.epochs {epochs}"));
        }
        _ => {}
    }
    if let SchedulerKind::Plateau { patience, .. } = scheduler
        && patience > epochs
    {
        let paths = ["search.scheduler.patience", "train.epochs"];
        push(&paths, format!("{patience} is above train.epochs {epochs}"));
    }
    if let SchedulerKind::Pbt {
        population,
        interval,
        ..
    } = scheduler
    {
        find_in_population(spec, population, interval, found);
        return;
    }
    if scheduler.averages() && !spec.is_external() {
        let message = "wilcoxon compares results on instances, such as folds, and what the fleet trains has epochs: it needs \
                       trials: external, told with --at INSTANCE; median and plateau stop by epochs";
        push(&["search.scheduler.kind", "trials"], message.to_owned());
    }
}

/// A population forks checkpoints at the ends of intervals.
fn find_in_population(spec: &Spec, population: u32, interval: u64, found: &mut Vec<Clash>) {
    let mut push = |paths: &[&'static str], message: String| found.push(Clash::new(paths, message));
    if spec.is_external() {
        let message = "pbt goes on from checkpoints, and external trials have none: take median, asha or plateau";
        push(&["search.scheduler.kind", "trials"], message.to_owned());
        return;
    }
    let epochs = spec.budget();
    if interval >= epochs {
        let message = format!(
            "{interval} is not below train.epochs {epochs}: members are compared between intervals, so train longer"
        );
        push(&["search.scheduler.interval", "train.epochs"], message);
    }
    let Some(search) = &spec.search else {
        return;
    };
    if let Some(limit) = search.limit.trials.filter(|limit| *limit < population) {
        let paths = ["search.limit.trials", "search.scheduler.population"];
        let message = format!(
            "{limit} is below search.scheduler.population {population}, and forks count too: none is needed, a population ends by itself"
        );
        push(&paths, message);
    }
    let mut parameters = search.space.parameters().iter().peekable();
    if parameters.peek().is_some() && parameters.all(|p| is_kept_by_forks(&p.name)) {
        let message = "pbt changes parameters where a trial goes on from a checkpoint, and none of these can change there (data, \
                       model, optimizer.kind, train.seed and train.virtual_shards stay): search another one, such as \
                       optimizer.lr, or take asha";
        push(
            &["search.scheduler.kind", "search.parameters"],
            message.to_owned(),
        );
    }
}

/// Whether a trial that goes on from another one's checkpoint has this field as that one did. What a checkpoint can go on
/// with is said by the whole specs, when it is forked; this is the same by name, for all values.
pub(crate) fn is_kept_by_forks(path: &str) -> bool {
    let changes = ["model.dropout", "model.x", "model.sleep"];
    let bound = ["data", "task", "model"];
    let group = path.split(['.', '[']).next().unwrap_or(path);
    let alone = ["optimizer.kind", "train.seed", "train.virtual_shards"];
    (bound.contains(&group) && !changes.contains(&path)) || alone.contains(&path)
}

fn find_in_objective(spec: &Spec, found: &mut Vec<Clash>) {
    let mut metrics = spec.objectives().map(|one| one.metric.as_str());
    let Some(message) = metrics.find_map(|metric| unknown_metric(spec, metric)) else {
        return;
    };
    let path = match spec.others() {
        [] => "search.objective.metric",
        _ => objectives::PATH,
    };
    found.push(Clash::new(&[path, "task", "model.kind"], message));
}

/// Says so of a metric that trials of this spec do not have.
pub(super) fn unknown_metric(spec: &Spec, metric: &str) -> Option<String> {
    if spec.is_external() {
        return None; // its metric is the teller's
    }
    if spec.task.is_none() && spec.data.is_some() {
        return None; // the task is wrong, and said so
    }
    let known = defaults::metrics(spec.task);
    if known.iter().any(|(name, _)| *name == metric) {
        return None;
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let of = spec.task.map_or("the no-op model", Task::name);
    // `valid.` is no likeness.
    let last = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
    let word = metric.rsplit('.').next().unwrap_or(metric);
    let near = suggest::nearest(word, names.iter().map(|name| last(name)));
    let near = near.and_then(|near| names.iter().find(|name| last(name) == near));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Some(format!(
        "{metric:?} is no metric of {of}, which has {}{hint}",
        names.join(", ")
    ))
}
