//! A worker's report stream, typed.

use bonfire_domain::metric::ReportBatch;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{ClientError, Fleet};
use crate::pb;
use crate::wire::Ack;

/// Batches that wait for the transport.
const OUTGOING_MAX: usize = 16;

/// The batches' half of the stream.
pub struct ReportSender {
    address: String,
    outgoing: mpsc::Sender<pb::ReportBatch>,
}

/// The acknowledgements' half of the stream.
pub struct ReportReceiver {
    address: String,
    incoming: Streaming<pb::ReportAck>,
}

impl ReportSender {
    /// Sends one batch, waiting while the transport is behind.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] once the stream has ended.
    pub async fn send(&self, batch: ReportBatch) -> Result<(), ClientError> {
        self.outgoing
            .send(batch.into())
            .await
            .map_err(|_| super::session::ended(&self.address))
    }
}

impl ReportReceiver {
    /// The next acknowledgement: everything of that attempt up to its sequence is durable. `None` at the stream's end.
    ///
    /// # Errors
    /// [`ClientError`] if the connection was lost or the message cannot be read.
    pub async fn next(&mut self) -> Result<Option<Ack>, ClientError> {
        match self.incoming.message().await {
            Ok(Some(ack)) => Ok(Some(ack.try_into()?)),
            Ok(None) => Ok(None),
            Err(status) => Err(ClientError::of(&self.address, &status)),
        }
    }
}

pub(super) async fn open(fleet: &Fleet) -> Result<(ReportSender, ReportReceiver), ClientError> {
    let (outgoing, batches) = mpsc::channel(OUTGOING_MAX);
    let mut client = fleet.worker();
    let incoming = fleet
        .once(client.report(ReceiverStream::new(batches)))
        .await?;
    let address = fleet.address().to_owned();
    Ok((
        ReportSender {
            address: address.clone(),
            outgoing,
        },
        ReportReceiver { address, incoming },
    ))
}
