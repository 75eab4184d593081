//! The gRPC side: handlers of three lines. The only place of the coordinator that names generated messages.

mod control;
mod status;
mod worker;

use bonfire_proto::pb;
use bonfire_proto::pb::control_server::ControlServer;
use bonfire_proto::pb::worker_server::WorkerServer;
use bonfire_proto::wire::{DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::context::Context;

/// What the standard health service (`grpc.health.v1`) answers: the same as `/readyz`.
pub(crate) struct Readiness {
    reporter: HealthReporter,
    is_ready: bool,
}

impl Readiness {
    /// Tells whoever asks or watches, if it is something new.
    pub(crate) async fn report(&mut self, is_ready: bool) {
        if is_ready == self.is_ready {
            return;
        }
        self.is_ready = is_ready;
        let status = match is_ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for service in [
            "",
            ControlServer::<control::Handler>::NAME,
            WorkerServer::<worker::Handler>::NAME,
        ] {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// Every gRPC service: ours, health and reflection.
pub(crate) async fn routes(context: &Context) -> (Routes, Readiness) {
    let control = ControlServer::new(control::Handler::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(DOCUMENT_BYTES_MAX);
    let worker = WorkerServer::new(worker::Handler::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let mut readiness = Readiness {
        reporter,
        is_ready: false,
    };
    readiness.report(true).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .build_v1()
        .expect("the descriptors are our own, encoded by the build");
    let routes = Routes::new(control)
        .add_service(worker)
        .add_service(health_service)
        .add_service(reflection);
    (routes, readiness)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    #[tokio::test]
    async fn health_says_what_readyz_says() {
        let (reporter, service) = tonic_health::server::health_reporter();
        let mut client = HealthClient::new(service);
        let mut readiness = Readiness {
            reporter,
            is_ready: false,
        };
        for (is_ready, expected) in [
            (true, ServingStatus::Serving),
            (false, ServingStatus::NotServing),
            (true, ServingStatus::Serving),
        ] {
            readiness.report(is_ready).await;
            for service in ["", ControlServer::<control::Handler>::NAME] {
                let service = service.to_owned();
                let found = client.check(HealthCheckRequest { service }).await.unwrap();
                assert_eq!(found.into_inner().status, expected as i32);
            }
        }
    }
}
