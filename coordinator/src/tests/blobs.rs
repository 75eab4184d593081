//! Blobs through the client and by hand.

use bonfire_domain::Digest;
use bonfire_domain::WallMs;
use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::dataset::{BlobRef, DatasetFile, DatasetManifest};
use bonfire_proto::client::ClientError;
use bonfire_proto::wire::AddDataset;
use bytes::Bytes;

use super::*;

#[tokio::test]
async fn blobs_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let blobs = up.fleet.blobs();
    for bytes in [
        Bytes::new(),
        Bytes::from_static(b"small"),
        Bytes::from(vec![7; 3_000_000]),
    ] {
        let digest = blobs.put(bytes.clone()).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(
            blobs.put(bytes.clone()).await.unwrap(),
            digest,
            "a second time"
        );
        assert_eq!(blobs.has(digest).await.unwrap(), Some(bytes.len() as u64));
        assert_eq!(blobs.get(digest, 4_000_000).await.unwrap(), bytes);
        let path = dir.path().join("copy");
        blobs.get_file(digest, &path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        blobs.put_file(digest, &path).await.unwrap();
    }
    let large = Digest::of(&[7; 3_000_000]);
    assert_eq!(
        blobs.get_range(large, 10, 5).await.unwrap(),
        Bytes::from_static(&[7; 5])
    );
    assert!(matches!(
        blobs.get(large, 1_000).await,
        Err(ClientError::Wrong(_))
    ));
    let missing = blobs.get(Digest::of(b"missing"), 10).await.unwrap_err();
    assert_eq!(missing.exit_code(), 3, "{missing}");
    up.down().await;
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let (token, digest) = (up.token(), Digest::of(b"right"));
    let path = format!("/v1/blobs/{}", digest.hex());
    let (status, answer) = up.http("PUT", &path, Some(&token), b"wrong").await;
    assert_eq!(status, 422, "{answer}");
    assert_eq!(up.fleet.blobs().has(digest).await.unwrap(), None);
    assert_eq!(
        std::fs::read_dir(dir.path().join("data/blobs"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(up.http("PUT", &path, None, b"right").await.0, 401);
    assert_eq!(up.http("PUT", &path, Some(&token), b"right").await.0, 201);
    up.down().await;
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| (i % 251) as u8).collect();
    let digest = Digest::of(&bytes);
    let part = dir
        .path()
        .join("data/blobs")
        .join(format!("{}.part", digest.hex()));
    std::fs::write(&part, &bytes[..1_500_000]).unwrap();
    let path = dir.path().join("whole");
    std::fs::write(&path, &bytes).unwrap();
    up.fleet.blobs().put_file(digest, &path).await.unwrap();
    let text = up.http("GET", "/metrics", Some(&up.token()), b"").await.1;
    assert!(
        text.contains("bonfire_blob_received_bytes_total 500000"),
        "only the rest was sent: {text}"
    );
    // A download that broke off goes on as well, and one whose part is wrong is not believed.
    let copy = dir.path().join("copy");
    std::fs::write(copy.with_extension("part"), &bytes[..700_000]).unwrap();
    up.fleet.blobs().get_file(digest, &copy).await.unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    let other = dir.path().join("other");
    std::fs::write(other.with_extension("part"), vec![0; 700_000]).unwrap();
    assert!(up.fleet.blobs().get_file(digest, &other).await.is_err());
    assert!(!other.exists() && !other.with_extension("part").exists());
    up.down().await;
}

#[tokio::test]
async fn a_blob_beyond_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let up = up_with(&dir, |c| c.limits.blob_bytes_max = 1 << 20).await;
    let error = up
        .fleet
        .blobs()
        .put(Bytes::from(vec![1; (1 << 20) + 1]))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::Wrong(text) if text.contains("blob_bytes_max")),
        "{error:?}"
    );
    up.down().await;
}

#[tokio::test]
async fn a_checkpoint_is_published_only_when_its_blobs_are_here() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    up.fleet.submit(noops("noops", &[0.1])).await.unwrap();
    let mut worker = FakeWorker::join(&up.fleet, 1, 1).await;
    let order = worker.start().await;
    let (trial, attempt) = (order.trial, order.attempt);
    let bytes = Bytes::from_static(b"weights");
    let chunk = BlobRef {
        digest: Digest::of(&bytes),
        bytes: bytes.len() as u64,
    };
    let checkpoint = Checkpoint {
        step: 1,
        epoch: 1,
        attempt,
        manifest: None,
        chunks: vec![chunk],
        value: None,
        written: WallMs(1),
    };
    let fact = Fact::Checkpointed {
        trial,
        attempt,
        checkpoint: Box::new(checkpoint),
    };
    worker
        .sender
        .send(FromWorker::Facts(vec![(1, fact.clone())]))
        .await
        .unwrap();
    loop {
        if let Some(ToWorker::Order(Order::UploadAgain { chunks, .. })) = worker.hear().await {
            assert_eq!(chunks, [chunk.digest]);
            break;
        }
    }
    assert_eq!(
        up.json("/v1/trials/noops/0/checkpoints")
            .await
            .as_array()
            .unwrap()
            .len(),
        0
    );
    up.fleet.blobs().put(bytes).await.unwrap();
    worker.say(vec![fact]).await;
    let shown = up
        .until("/v1/trials/noops/0", |d| {
            d["checkpoints"].as_array().is_some_and(|c| c.len() == 1)
        })
        .await;
    assert_eq!(shown["checkpoints"][0]["chunks"][0], chunk.digest.hex());
    up.down().await;
}

#[tokio::test]
async fn a_dataset_needs_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let bytes = Bytes::from_static(b"rows");
    let blob = BlobRef {
        digest: Digest::of(&bytes),
        bytes: bytes.len() as u64,
    };
    let manifest = DatasetManifest {
        version: Digest::of(b"version"),
        rows: 1,
        files: vec![DatasetFile { blob, rows: 1 }],
        columns: vec![],
        source: "test".into(),
        source_digest: Digest::of(b"source"),
    };
    let add = AddDataset {
        name: "rows".into(),
        manifest: serde_json::to_string(&manifest).unwrap(),
    };
    let error = up.fleet.add_dataset(add.clone()).await.unwrap_err();
    assert!(error.to_string().contains("upload them first"), "{error}");
    up.fleet.blobs().put(bytes).await.unwrap();
    assert_eq!(
        up.fleet.add_dataset(add.clone()).await.unwrap(),
        (manifest.version, true)
    );
    assert_eq!(
        up.fleet.add_dataset(add.clone()).await.unwrap(),
        (manifest.version, false)
    );
    assert_eq!(
        up.fleet.fetch_dataset(manifest.version).await.unwrap(),
        add.manifest
    );
    assert_eq!(
        up.json("/v1/datasets/rows").await["version"],
        manifest.version.hex()
    );
    assert_eq!(
        up.json("/v1/datasets/rows/manifest").await["source"],
        "test"
    );
    assert_eq!(
        up.fleet
            .fetch_prepared(Digest::of(b"nobody"))
            .await
            .unwrap(),
        None
    );
    up.down().await;
}
