//! The gRPC side: handlers of three lines. The only place of the coordinator that names generated messages.

mod control;
mod status;
mod worker;

use bonfire_proto::pb;
use bonfire_proto::pb::control_server::ControlServer;
use bonfire_proto::pb::worker_server::WorkerServer;
use bonfire_proto::wire::{DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX};
use tonic::service::Routes;

use crate::context::Context;

/// Every gRPC service: ours, health and reflection.
pub(crate) async fn routes(context: &Context) -> Routes {
    let control = ControlServer::new(control::Handler::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(DOCUMENT_BYTES_MAX);
    let worker = WorkerServer::new(worker::Handler::new(context.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<ControlServer<control::Handler>>()
        .await;
    health.set_serving::<WorkerServer<worker::Handler>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .build_v1()
        .expect("the descriptors are our own, encoded by the build");
    Routes::new(control)
        .add_service(worker)
        .add_service(health_service)
        .add_service(reflection)
}
