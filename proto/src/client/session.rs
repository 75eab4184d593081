//! A worker's control stream, typed.

use bonfire_domain::order::{Running, WorkerFacts};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{ClientError, Fleet};
use crate::pb;
use crate::wire::{FACTS_MAX, FromWorker, ToWorker};

/// Messages that wait for the transport.
const OUTGOING_MAX: usize = 64;
/// Facts put into one message, in bytes (and at least one fact).
const FACTS_BYTES: usize = 1 << 20;

/// The worker's half of the stream. Dropping it says that nothing more will come.
pub struct SessionSender {
    address: String,
    outgoing: mpsc::Sender<pb::FromWorker>,
}

/// The coordinator's half of the stream.
pub struct SessionReceiver {
    address: String,
    incoming: Streaming<pb::ToWorker>,
}

impl SessionSender {
    /// Sends one message, waiting while the transport is behind. Facts that are too many for one message go as several.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] once the stream has ended.
    pub async fn send(&self, message: FromWorker) -> Result<(), ClientError> {
        let FromWorker::Facts(facts) = message else {
            return self.put(message.into()).await;
        };
        let mut part = pb::Facts::default();
        let mut bytes = 0;
        for fact in facts {
            let fact = pb::NumberedFact::from(fact);
            bytes += fact.encoded_len();
            if !part.facts.is_empty() && (bytes > FACTS_BYTES || part.facts.len() >= FACTS_MAX) {
                self.put(message_of(std::mem::take(&mut part))).await?;
                bytes = fact.encoded_len();
            }
            part.facts.push(fact);
        }
        self.put(message_of(part)).await
    }

    async fn put(&self, message: pb::FromWorker) -> Result<(), ClientError> {
        self.outgoing
            .send(message)
            .await
            .map_err(|_| ended(&self.address))
    }
}

impl SessionReceiver {
    /// The next message; `None` when the coordinator ended the stream.
    ///
    /// # Errors
    /// [`ClientError`] if the connection was lost or the message cannot be read.
    pub async fn next(&mut self) -> Result<Option<ToWorker>, ClientError> {
        match self.incoming.message().await {
            Ok(Some(message)) => Ok(Some(message.try_into()?)),
            Ok(None) => Ok(None),
            Err(status) => Err(ClientError::of(&self.address, &status)),
        }
    }
}

pub(super) async fn open(
    fleet: &Fleet,
    facts: WorkerFacts,
    running: Running,
) -> Result<(SessionSender, SessionReceiver), ClientError> {
    let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
    let hello = FromWorker::Hello { facts, running };
    // The channel is empty and its receiver is held: this cannot fail.
    let _ = outgoing.try_send(hello.into());
    let mut client = fleet.worker();
    let incoming = fleet
        .once(client.session(ReceiverStream::new(messages)))
        .await?;
    let address = fleet.address().to_owned();
    Ok((
        SessionSender {
            address: address.clone(),
            outgoing,
        },
        SessionReceiver { address, incoming },
    ))
}

fn message_of(facts: pb::Facts) -> pb::FromWorker {
    pb::FromWorker {
        message: Some(pb::from_worker::Message::Facts(facts)),
    }
}

pub(super) fn ended(address: &str) -> ClientError {
    ClientError::Unreachable {
        address: address.to_owned(),
        reason: "the stream has ended".to_owned(),
    }
}
