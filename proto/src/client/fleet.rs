//! The control service, typed.

use std::future::Future;
use std::time::Duration;

use bonfire_domain::Digest;
use bonfire_domain::order::{Running, WorkerFacts};
use tonic::{Request, Response, Status, Streaming};

use super::{
    Authorized, CALL_TIMEOUT, ClientError, ReportReceiver, ReportSender, SessionReceiver,
    SessionSender,
};
use crate::blobs::BlobClient;
use crate::pb::control_client::ControlClient;
use crate::pb::worker_client::WorkerClient;
use crate::wire::{
    AddArtifact, AddDataset, Admit, Ask, ControlSweep, ControlTrial, DOCUMENT_BYTES_MAX,
    DeleteCheckpoint, Document, Fork, MESSAGE_BYTES_MAX, Submit, Tell, WireError,
};
use crate::{Token, pb};

/// A call that a lost connection cut off is sent again this often, where sending it twice is harmless.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// A fleet at one address. Cheap to clone; clones share the connection, which comes back by itself after a loss.
#[derive(Clone)]
pub struct Fleet {
    address: String,
    token: Token,
    channel: Authorized,
}

/// What a coordinator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub version: String,
    pub node: u64,
}

/// A document that comes again whenever it changed.
pub struct Watch {
    address: String,
    stream: Streaming<pb::Document>,
}

impl Watch {
    /// The next state of the document; `None` when the coordinator ends the stream.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is lost or what is watched is gone.
    pub async fn next(&mut self) -> Result<Option<Document>, ClientError> {
        match self.stream.message().await {
            Ok(document) => Ok(document.map(Into::into)),
            Err(status) => Err(ClientError::of(&self.address, &status)),
        }
    }
}

impl Fleet {
    /// A fleet that is reached at the first call; [`super::connect`] also checks that somebody answers.
    ///
    /// # Errors
    /// [`ClientError::Wrong`] if `address` is not `HOST:PORT`.
    pub fn at(address: &str, token: &Token) -> Result<Fleet, ClientError> {
        Ok(Fleet {
            address: address.to_owned(),
            token: token.clone(),
            channel: super::channel(address, token)?,
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client for the coordinator's blobs, on connections of its own.
    pub fn blobs(&self) -> BlobClient {
        BlobClient::new(&self.address, &self.token)
    }

    pub async fn hello(&self) -> Result<Hello, ClientError> {
        let reply = self
            .again(|| async move { self.control().hello(bounded(pb::HelloRequest {})).await })
            .await?;
        Ok(Hello {
            version: reply.version,
            node: reply.node,
        })
    }

    /// Submits a sweep and answers with its name.
    pub async fn submit(&self, submit: Submit) -> Result<String, ClientError> {
        let request = pb::SubmitRequest::from(submit);
        let send = || async { self.control().submit(bounded(request.clone())).await };
        Ok(self.again(send).await?.name)
    }

    /// Acts on a sweep and answers with its full name.
    pub async fn control_sweep(&self, control: ControlSweep) -> Result<String, ClientError> {
        Ok(self
            .once(self.control().control_sweep(bounded(control.into())))
            .await?
            .name)
    }

    /// Acts on a trial and answers with its full name.
    pub async fn control_trial(&self, control: ControlTrial) -> Result<String, ClientError> {
        Ok(self
            .once(self.control().control_trial(bounded(control.into())))
            .await?
            .name)
    }

    /// Forks a trial and answers with the new one's name.
    pub async fn fork(&self, fork: Fork) -> Result<String, ClientError> {
        let request = pb::ForkRequest::from(fork);
        let send = || async { self.control().fork(bounded(request.clone())).await };
        Ok(self.again(send).await?.name)
    }

    /// Asks for a trial of an external sweep; the answer is JSON.
    pub async fn ask(&self, ask: Ask) -> Result<Document, ClientError> {
        let request = pb::AskRequest::from(ask);
        let send = || async { self.control().ask(bounded(request.clone())).await };
        Ok(self.again(send).await?.into())
    }

    /// Tells what became of an external trial; the answer is JSON.
    pub async fn tell(&self, tell: Tell) -> Result<Document, ClientError> {
        let request = pb::TellRequest::from(tell);
        let send = || async { self.control().tell(bounded(request.clone())).await };
        Ok(self.again(send).await?.into())
    }

    /// Registers a dataset version; answers with it and whether the name now means another one than before.
    pub async fn add_dataset(&self, add: AddDataset) -> Result<(Digest, bool), ClientError> {
        let request = pb::AddDatasetRequest::from(add);
        let send = || async { self.control().add_dataset(bounded(request.clone())).await };
        let reply = self.again(send).await?;
        Ok((
            crate::wire::digest("version", &reply.version)?,
            reply.changed,
        ))
    }

    /// Attaches a blob that is there to a trial; answers with the trial.
    pub async fn add_artifact(&self, add: AddArtifact) -> Result<String, ClientError> {
        let request = pb::AddArtifactRequest::from(add);
        let send = || async { self.control().add_artifact(bounded(request.clone())).await };
        Ok(self.again(send).await?.name)
    }

    pub async fn delete_checkpoint(&self, delete: DeleteCheckpoint) -> Result<String, ClientError> {
        Ok(self
            .once(self.control().delete_checkpoint(bounded(delete.into())))
            .await?
            .name)
    }

    /// Opens, drains or quarantines a worker and answers with its name.
    pub async fn admit(&self, admit: Admit) -> Result<String, ClientError> {
        Ok(self
            .once(self.control().admit(bounded(admit.into())))
            .await?
            .name)
    }

    /// The JSON document at a path such as `/v1/sweeps/last`.
    pub async fn get(&self, path: &str) -> Result<Document, ClientError> {
        let request = pb::GetRequest {
            path: path.to_owned(),
        };
        let send = || async { self.control().get(bounded(request.clone())).await };
        Ok(self.again(send).await?.into())
    }

    /// Follows the document at a path.
    pub async fn watch(&self, path: &str) -> Result<Watch, ClientError> {
        let request = pb::GetRequest {
            path: path.to_owned(),
        };
        let stream = self.once(self.control().watch(request)).await?;
        Ok(Watch {
            address: self.address.clone(),
            stream,
        })
    }

    /// Opens a worker's control stream; `facts` and `running` are its first message.
    ///
    /// Drop both halves to end it: the coordinator does not notice a receiver dropped alone.
    pub async fn worker_session(
        &self,
        facts: WorkerFacts,
        running: Running,
    ) -> Result<(SessionSender, SessionReceiver), ClientError> {
        super::session::open(self, facts, running).await
    }

    /// Opens a report stream on a connection of its own.
    pub async fn report_stream(&self) -> Result<(ReportSender, ReportReceiver), ClientError> {
        let own = Fleet::at(&self.address, &self.token)?;
        super::report::open(&own).await
    }

    /// The manifest of prepared data as JSON, `None` while nobody has prepared it.
    pub async fn fetch_prepared(&self, key: Digest) -> Result<Option<String>, ClientError> {
        let request = pb::DigestRequest {
            digest: crate::wire::digest_bytes(key),
        };
        let send = || async { self.worker().fetch_prepared(bounded(request.clone())).await };
        let document = self.again(send).await?;
        if document.json.is_empty() {
            Ok(None)
        } else {
            utf8(&document.json).map(Some)
        }
    }

    /// The manifest of a dataset version as JSON.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if no dataset has this version.
    pub async fn fetch_dataset(&self, version: Digest) -> Result<String, ClientError> {
        let request = pb::DigestRequest {
            digest: crate::wire::digest_bytes(version),
        };
        let send = || async { self.worker().fetch_dataset(bounded(request.clone())).await };
        utf8(&self.again(send).await?.json)
    }

    fn control(&self) -> ControlClient<Authorized> {
        ControlClient::new(self.channel.clone())
            .max_decoding_message_size(DOCUMENT_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(super) fn worker(&self) -> WorkerClient<Authorized> {
        WorkerClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Awaits a call's answer under the deadline, which the transport applies to less than all of it.
    pub(super) async fn once<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(ClientError::of(&self.address, &status)),
            Err(_) => Err(ClientError::Unreachable {
                address: self.address.clone(),
                reason: format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
            }),
        }
    }

    /// Like `once`, sent again after a lost connection: only for what may be applied twice.
    async fn again<T, F>(&self, mut send: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        for _ in 1..TRIES_MAX {
            match self.once(send()).await {
                Err(ClientError::Unreachable { .. }) => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
        self.once(send()).await
    }
}

fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

fn utf8(bytes: &[u8]) -> Result<String, ClientError> {
    String::from_utf8(bytes.to_vec()).map_err(|e| WireError::new("json", e.to_string()).into())
}
