//! What the command line and scripts call.

use std::time::{Duration, Instant};

use bonfire_proto::pb;
use bonfire_proto::pb::control_server::Control;
use bonfire_proto::wire::Document;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::status;
use crate::app::NODE;
use crate::context::Context;
use crate::{asks, commands, documents};

/// A watched document is sent at most this often.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Making a document may take at most one part in this many of the time.
const WATCH_SHARE: u32 = 10;

pub(super) struct Handler {
    context: Context,
}

impl Handler {
    pub(super) fn new(context: Context) -> Handler {
        Handler { context }
    }
}

fn named(name: String) -> Response<pb::Named> {
    Response::new(pb::Named { name })
}

/// An answer that is no document of the state: it has no revision.
fn json(answer: &impl serde::Serialize) -> Result<Response<pb::Document>, Status> {
    let json = serde_json::to_vec(answer).map_err(|e| Status::internal(e.to_string()))?;
    Ok(Response::new(pb::Document {
        json: json.into(),
        revision: 0,
    }))
}

#[tonic::async_trait]
impl Control for Handler {
    async fn hello(
        &self,
        _: Request<pb::HelloRequest>,
    ) -> Result<Response<pb::HelloReply>, Status> {
        Ok(Response::new(pb::HelloReply {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: NODE,
        }))
    }

    async fn submit(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<Response<pb::SubmitReply>, Status> {
        let asked = request.into_inner().try_into()?;
        let name = commands::submit(&self.context, asked)
            .await
            .map_err(status::command)?;
        Ok(Response::new(pb::SubmitReply { name }))
    }

    async fn control_sweep(
        &self,
        request: Request<pb::ControlSweepRequest>,
    ) -> Result<Response<pb::Named>, Status> {
        let asked = request.into_inner().try_into()?;
        commands::control_sweep(&self.context, asked)
            .await
            .map(named)
            .map_err(status::command)
    }

    async fn control_trial(
        &self,
        request: Request<pb::ControlTrialRequest>,
    ) -> Result<Response<pb::Named>, Status> {
        let asked = request.into_inner().try_into()?;
        commands::control_trial(&self.context, asked)
            .await
            .map(named)
            .map_err(status::command)
    }

    async fn fork(&self, request: Request<pb::ForkRequest>) -> Result<Response<pb::Named>, Status> {
        let asked = request.into_inner().try_into()?;
        commands::fork(&self.context, asked)
            .await
            .map(named)
            .map_err(status::command)
    }

    async fn ask(
        &self,
        request: Request<pb::AskRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        let asked = request.into_inner().try_into()?;
        let answer = asks::ask(&self.context, asked).await;
        json(&answer.map_err(status::command)?)
    }

    async fn tell(
        &self,
        request: Request<pb::TellRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        let asked = request.into_inner().try_into()?;
        let answer = asks::tell(&self.context, asked).await;
        json(&answer.map_err(status::command)?)
    }

    async fn add_dataset(
        &self,
        request: Request<pb::AddDatasetRequest>,
    ) -> Result<Response<pb::AddDatasetReply>, Status> {
        let asked = request.into_inner().try_into()?;
        let (version, changed) = commands::add_dataset(&self.context, asked)
            .await
            .map_err(status::command)?;
        Ok(Response::new(pb::AddDatasetReply {
            version: version.0.to_vec().into(),
            changed,
        }))
    }

    async fn add_artifact(
        &self,
        request: Request<pb::AddArtifactRequest>,
    ) -> Result<Response<pb::Named>, Status> {
        let asked = request.into_inner().try_into()?;
        commands::add_artifact(&self.context, asked)
            .await
            .map(named)
            .map_err(status::command)
    }

    async fn delete_checkpoint(
        &self,
        request: Request<pb::DeleteCheckpointRequest>,
    ) -> Result<Response<pb::Named>, Status> {
        let asked = request.into_inner().try_into()?;
        commands::delete_checkpoint(&self.context, asked)
            .await
            .map(named)
            .map_err(status::command)
    }

    async fn admit(
        &self,
        request: Request<pb::AdmitRequest>,
    ) -> Result<Response<pb::Named>, Status> {
        let asked = request.into_inner().try_into()?;
        commands::admit(&self.context, asked)
            .await
            .map(named)
            .map_err(status::command)
    }

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        let path = request.into_inner().path;
        let document = documents::get(&self.context, &path)
            .await
            .map_err(status::document)?;
        Ok(Response::new(document.into()))
    }

    type WatchStream = ReceiverStream<Result<pb::Document, Status>>;

    async fn watch(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let path = request.into_inner().path;
        let first = documents::get(&self.context, &path)
            .await
            .map_err(status::document)?;
        let (documents, stream) = mpsc::channel(1);
        tokio::spawn(follow(self.context.clone(), path, first, documents));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Sends a document whenever it changed, until the watcher, the document or the coordinator goes.
async fn follow(
    context: Context,
    path: String,
    first: Document,
    documents: mpsc::Sender<Result<pb::Document, Status>>,
) {
    let (mut applied, mut reported) = (context.app.changes(), context.tracker.changes());
    let mut sent = first.json.clone();
    let mut pause = WATCH_EVERY;
    let mut next = Some(Ok(first.into()));
    loop {
        if let Some(message) = next.take() {
            let failed = message.is_err();
            // Waits for a slow watcher, which then gets fewer states, the newest each time.
            if documents.send(message).await.is_err() || failed {
                return;
            }
        }
        tokio::select! {
            () = documents.closed() => return,
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            () = documents.closed() => return,
            () = context.stop.cancelled() => return,
            changed = applied.changed() => if changed.is_err() { return },
            changed = reported.changed() => if changed.is_err() { return },
        }
        let began = Instant::now();
        match documents::get(&context, &path).await {
            Ok(document) if document.json != sent => {
                sent = document.json.clone();
                next = Some(Ok(document.into()));
            }
            Ok(_) => {}
            Err(error) => next = Some(Err(status::document(error))),
        }
        pause = WATCH_EVERY.max(began.elapsed() * WATCH_SHARE);
    }
}
