//! Errors as gRPC statuses. The client reads the exit code from the code, so a code means one thing.

use bonfire_domain::effect::Refusal;
use tonic::Status;

use crate::app::AskError;
use crate::commands::CommandError;
use crate::documents::DocumentError;

pub(super) fn ask(error: &AskError) -> Status {
    let text = error.to_string();
    match error {
        AskError::Refused(refusal) => match refusal {
            Refusal::NoSuchSweep
            | Refusal::NoSuchTrial
            | Refusal::NoSuchWorker
            | Refusal::NoSuchCheckpoint { .. }
            | Refusal::NoSuchDataset { .. } => Status::not_found(text),
            Refusal::NameTaken { .. } => Status::already_exists(text),
            Refusal::SpecUnreadable { .. }
            | Refusal::ManifestUnreadable { .. }
            | Refusal::NotExternal
            | Refusal::NoFork { .. }
            | Refusal::NoSuchMetric { .. }
            | Refusal::NoSuchSource { .. }
            | Refusal::NoSource { .. }
            | Refusal::MetricMissing { .. }
            | Refusal::NotFinite => Status::invalid_argument(text),
            Refusal::BeingDeleted { .. } => Status::resource_exhausted(text),
            _ => Status::failed_precondition(text),
        },
        AskError::Busy | AskError::Full | AskError::Slow => Status::resource_exhausted(text),
        // Not to be tried again without a look.
        AskError::Waits => Status::internal(text),
        AskError::TooLarge(_) => Status::invalid_argument(text),
        AskError::NotLeader | AskError::Stopping => Status::unavailable(text),
    }
}

pub(super) fn command(error: CommandError) -> Status {
    match &error {
        CommandError::Ask(error) => ask(error),
        CommandError::Select(select) if select.is_wrong_request() => {
            Status::invalid_argument(error.to_string())
        }
        CommandError::Select(_) => Status::not_found(error.to_string()),
        CommandError::Wrong(_) => Status::invalid_argument(error.to_string()),
        CommandError::Missing { .. } => Status::failed_precondition(error.to_string()),
    }
}

pub(super) fn document(error: DocumentError) -> Status {
    match &error {
        DocumentError::NotFound(text) => Status::not_found(text),
        DocumentError::Wrong(text) => Status::invalid_argument(text),
        DocumentError::Failed(text) => Status::internal(text),
        DocumentError::Ask(error) => ask(error),
    }
}
