//! Thin typed clients over gRPC: an address and a token in, domain types out.
//!
//! A connection is believed only after an answered call: `connect` alone means TCP. Orders, heartbeats and unary calls
//! share one connection; reports and blobs have their own, so that bulk never delays an order.

mod error;
mod fleet;
mod report;
mod session;

pub use error::ClientError;
pub use fleet::{Fleet, Hello, Watch};
pub use report::{ReportReceiver, ReportSender};
pub use session::{SessionReceiver, SessionSender};

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::{Interceptor, interceptor::InterceptedService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::Token;

/// A TCP connection must stand within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A unary call must be answered within this time.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// A silent connection is probed after this time, and lost when the probe is not answered within the next.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// What one stream may have in flight unread; many times smaller than what its connection may.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Connects to the first address that answers a call.
///
/// # Errors
/// [`ClientError::Unreachable`] if none answers, or the refusal of the first that does.
pub async fn connect(addresses: &[String], token: &Token) -> Result<Fleet, ClientError> {
    let mut last = ClientError::Unreachable {
        address: String::new(),
        reason: "no address was given".to_owned(),
    };
    for address in addresses {
        let fleet = Fleet::at(address, token)?;
        match fleet.hello().await {
            Ok(_) => return Ok(fleet),
            Err(error @ ClientError::Unreachable { .. }) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

/// A channel that connects at its first call and again after a loss.
pub(crate) fn channel(address: &str, token: &Token) -> Result<Authorized, ClientError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| ClientError::Wrong(format!("{address:?} is not an address: {e}")))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let mut bearer = MetadataValue::try_from(token.bearer())
        .map_err(|_| ClientError::Wrong("the token cannot be sent".to_owned()))?;
    bearer.set_sensitive(true);
    Ok(InterceptedService::new(
        endpoint.connect_lazy(),
        Bearer(bearer),
    ))
}

/// Puts the token on every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}
