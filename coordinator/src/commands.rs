//! What clients ask for, turned into commands of the log: selectors resolved, names drawn, blobs checked.

use bonfire_domain::cluster::check_artifact_name;
use bonfire_domain::command::Command;
use bonfire_domain::dataset::DatasetManifest;
use bonfire_domain::effect::{Effect, Refusal};
use bonfire_domain::select::{self, SelectError};
use bonfire_domain::{Cluster, Digest, SweepId, TrialId};
use bonfire_proto::wire::{
    AddArtifact, AddDataset, Admit, ControlSweep, ControlTrial, DeleteCheckpoint, Fork, Submit,
};
use tokio::task::spawn_blocking;

use crate::app::AskError;
use crate::clock::wall;
use crate::context::Context;
use crate::documents::sweep_name;

/// Characters of a drawn suffix: none that is mistaken for another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const SUFFIX: usize = 3;
/// A name that is taken is drawn again this often.
const DRAWS_MAX: u32 = 16;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error("{0}")]
    Wrong(String),
    #[error("{count} blobs of the manifest are not here, such as {}: upload them first", first.short())]
    Missing { count: usize, first: Digest },
}

/// Creates a sweep and answers with its name: the asked one, or the asked one and three random characters.
pub(crate) async fn submit(context: &Context, asked: Submit) -> Result<String, CommandError> {
    check_name(&asked.name)?;
    for _ in 0..DRAWS_MAX {
        let name = if asked.fixed_name {
            asked.name.clone()
        } else {
            format!("{}-{}", asked.name, suffix()?)
        };
        let command = Command::SubmitSweep {
            request: asked.request,
            name,
            spec: asked.spec.clone(),
            dataset: asked.dataset,
            origin: asked.origin.clone(),
            at: wall(),
        };
        match context.app.ask(command).await {
            Ok(effects) => return created(context, &effects).await,
            Err(AskError::Refused(Refusal::NameTaken { .. })) if !asked.fixed_name => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Wrong(format!(
        "no free name like {} was found: choose another",
        asked.name
    )))
}

async fn created(context: &Context, effects: &[Effect]) -> Result<String, CommandError> {
    let sweep = effects.iter().find_map(|e| match e {
        Effect::SweepCreated { sweep } => Some(*sweep),
        _ => None,
    });
    let sweep = sweep.ok_or_else(|| CommandError::Wrong("the sweep was not created".to_owned()))?;
    Ok(context
        .app
        .read(move |view| sweep_name(view.cluster, sweep))
        .await?)
}

/// Names stand in selectors (`name/17@1200`), in paths and on command lines.
fn check_name(name: &str) -> Result<(), CommandError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name == "last" || !name.chars().all(fits) {
        let text = format!(
            "{name:?} cannot be a name: use letters, digits, '-', '_' and '.', and not \"last\""
        );
        return Err(CommandError::Wrong(text));
    }
    Ok(())
}

fn suffix() -> Result<String, CommandError> {
    let mut bytes = [0; SUFFIX];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::Wrong(format!("no random bytes: {e}")))?;
    Ok(bytes
        .iter()
        .map(|b| char::from(ALPHABET[usize::from(b % 32)]))
        .collect())
}

pub(crate) async fn control_sweep(
    context: &Context,
    asked: ControlSweep,
) -> Result<String, CommandError> {
    let (sweep, name) = find(context, move |cluster| {
        let id = select::sweep(cluster, &asked.sweep)?;
        Ok((id, sweep_name(cluster, id)))
    })
    .await?;
    context
        .app
        .ask(Command::ControlSweep {
            sweep,
            action: asked.action,
            at: wall(),
        })
        .await?;
    Ok(name)
}

pub(crate) async fn control_trial(
    context: &Context,
    asked: ControlTrial,
) -> Result<String, CommandError> {
    let trial = find(context, move |cluster| select::trial(cluster, &asked.trial)).await?;
    context
        .app
        .ask(Command::ControlTrial {
            trial,
            action: asked.action,
            at: wall(),
        })
        .await?;
    label(context, trial).await
}

pub(crate) async fn fork(context: &Context, asked: Fork) -> Result<String, CommandError> {
    let (parent, step, mut parameters) = find(context, move |cluster| {
        let at = match asked.step {
            Some(step) => format!("{}@{step}", asked.trial),
            None => asked.trial,
        };
        let (parent, step) = select::checkpoint(cluster, &at, false)?;
        let inherited = cluster
            .trial(parent)
            .map(|t| t.parameters.clone())
            .unwrap_or_default();
        Ok((parent, step, inherited))
    })
    .await?;
    parameters.extend(asked.parameters);
    let command = Command::Fork {
        request: asked.request,
        parent,
        step,
        parameters,
        at: wall(),
    };
    let effects = context.app.ask(command).await?;
    let trial = effects.iter().find_map(|e| match e {
        Effect::TrialCreated { trial } => Some(*trial),
        _ => None,
    });
    label(context, trial.unwrap_or(parent)).await
}

/// Registers a dataset version whose files are all here; answers with it and whether the name now means another one.
pub(crate) async fn add_dataset(
    context: &Context,
    asked: AddDataset,
) -> Result<(Digest, bool), CommandError> {
    check_name(&asked.name)?;
    let parsed = serde_json::from_str::<DatasetManifest>(&asked.manifest);
    let manifest =
        parsed.map_err(|e| CommandError::Wrong(format!("the manifest cannot be read: {e}")))?;
    let _look = context.publishing.look().await;
    let blobs = context.blobs.clone();
    let files: Vec<_> = manifest.files.iter().map(|f| f.blob).collect();
    let missing = spawn_blocking(move || blobs.missing(&files))
        .await
        .unwrap_or_default();
    if let Some(first) = missing.first() {
        return Err(CommandError::Missing {
            count: missing.len(),
            first: *first,
        });
    }
    let command = Command::AddDataset {
        name: asked.name,
        manifest: asked.manifest,
        at: wall(),
    };
    let effects = context.app.ask(command).await?;
    let changed = effects
        .iter()
        .any(|e| matches!(e, Effect::DatasetAdded { changed: true, .. }));
    Ok((manifest.version, changed))
}

/// Attaches a blob that is here to a trial; answers with the trial.
pub(crate) async fn add_artifact(
    context: &Context,
    asked: AddArtifact,
) -> Result<String, CommandError> {
    check_artifact_name(&asked.name).map_err(|problem| {
        CommandError::Wrong(format!(
            "{:?} cannot name an artifact: {problem}",
            asked.name
        ))
    })?;
    let trial = find(context, move |cluster| select::trial(cluster, &asked.trial)).await?;
    let _look = context.publishing.look().await;
    let (blobs, blob) = (context.blobs.clone(), asked.blob);
    let missing = spawn_blocking(move || blobs.missing(&[blob])).await;
    if let Some(first) = missing.unwrap_or_default().first() {
        return Err(CommandError::Missing {
            count: 1,
            first: *first,
        });
    }
    let command = Command::AddArtifact {
        trial,
        name: asked.name,
        blob,
        at: wall(),
    };
    context.app.ask(command).await?;
    label(context, trial).await
}

pub(crate) async fn delete_checkpoint(
    context: &Context,
    asked: DeleteCheckpoint,
) -> Result<String, CommandError> {
    let trial = find(context, move |cluster| select::trial(cluster, &asked.trial)).await?;
    context
        .app
        .ask(Command::DeleteCheckpoint {
            trial,
            step: asked.step,
            at: wall(),
        })
        .await?;
    Ok(format!("{}@{}", label(context, trial).await?, asked.step))
}

pub(crate) async fn admit(context: &Context, asked: Admit) -> Result<String, CommandError> {
    let (worker, name) = find(context, move |cluster| {
        let id = select::worker(cluster, &asked.worker)?;
        Ok((
            id,
            cluster
                .worker(id)
                .map(|w| w.facts.name.clone())
                .unwrap_or_default(),
        ))
    })
    .await?;
    context
        .app
        .ask(Command::Admit {
            worker,
            admission: asked.admission,
            at: wall(),
        })
        .await?;
    Ok(name)
}

pub(crate) async fn find<T: Send + 'static>(
    context: &Context,
    look: impl FnOnce(&Cluster) -> Result<T, SelectError> + Send + 'static,
) -> Result<T, CommandError> {
    Ok(context.app.read(move |view| look(view.cluster)).await??)
}

async fn label(context: &Context, trial: TrialId) -> Result<String, CommandError> {
    let sweep: SweepId = trial.sweep;
    let name = context
        .app
        .read(move |view| sweep_name(view.cluster, sweep))
        .await?;
    Ok(format!("{name}/{}", trial.number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(name: &str, accepted: bool) {
        assert_eq!(check_name(name).is_ok(), accepted, "{name:?}");
    }

    #[test]
    fn names_fit_into_selectors() {
        check("digits", true);
        check("digits-k2f_v1.0", true);
        check("last", false);
        check("a/b", false);
        check("a@1", false);
        check("a b", false);
        check("ä", false);
    }

    #[test]
    fn suffixes_have_three_plain_characters() {
        let drawn = suffix().unwrap();
        assert_eq!(drawn.len(), SUFFIX);
        check(&drawn, true);
    }
}
