//! Trials of external sweeps: asked for and told, over gRPC and HTTP alike.

use std::time::Duration;

use bonfire_domain::command::Command;
use bonfire_domain::effect::{Effect, Refusal};
use bonfire_domain::select;
use bonfire_domain::view::{AskDocument, TellDocument};
use bonfire_proto::wire::{Ask, Tell};

use crate::app::AskError;
use crate::clock::wall;
use crate::commands::{CommandError, find};
use crate::context::Context;

/// How long an asker waits for a slow sampler; below the deadline of our own clients.
const ASK_MAX: Duration = Duration::from_secs(15);

/// A trial, or why there is none now.
pub(crate) async fn ask(context: &Context, asked: Ask) -> Result<AskDocument, CommandError> {
    let sweep = find(context, move |cluster| select::sweep(cluster, &asked.sweep)).await?;
    let request = match asked.request {
        Some(request) => request,
        None => {
            getrandom::u64().map_err(|e| CommandError::Wrong(format!("no random number: {e}")))?
        }
    };
    let answer = context.app.ask_trial(sweep, request);
    let answer = tokio::time::timeout(ASK_MAX, answer).await;
    Ok(answer.unwrap_or(Err(AskError::Slow))?)
}

/// Records what was told of a trial.
pub(crate) async fn tell(context: &Context, asked: Tell) -> Result<TellDocument, CommandError> {
    let Tell {
        trial,
        attempt,
        told,
        metrics,
    } = asked;
    let id = find(context, move |cluster| select::trial(cluster, &trial)).await?;
    let at = wall();
    let command = match metrics.is_empty() {
        true => Command::Tell {
            trial: id,
            attempt,
            told,
            at,
        },
        false => Command::TellMeasured {
            trial: id,
            attempt,
            told,
            metrics,
            at,
        },
    };
    let effects = context.app.ask(command).await?;
    let outcome = effects.iter().find_map(|e| match e {
        Effect::Told {
            repeated,
            proceed,
            kept,
            ..
        } => Some((*repeated, *proceed, *kept)),
        _ => None,
    });
    let (repeated, proceed, kept) = outcome.unwrap_or_default();
    let shown = context.app.read(move |view| {
        let sweep = view.cluster.sweep(id.sweep)?;
        let state = sweep.trial(id.number)?.state;
        Some((sweep.label_of(id.number), state.name().to_owned()))
    });
    // Deleted in between, by somebody who did not wait for it.
    let gone = CommandError::Ask(AskError::Refused(Refusal::NoSuchTrial));
    let (trial, state) = shown.await?.ok_or(gone)?;
    Ok(TellDocument {
        trial,
        attempt: attempt.0,
        state,
        repeated,
        kept,
        proceed,
    })
}
