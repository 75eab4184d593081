//! Everything an attempt needs, brought to this machine before its executor is asked to begin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bonfire_domain::checkpoint::{Checkpoint, CheckpointManifest};
use bonfire_domain::dataset::{
    BlobRef, DatasetFile, DatasetManifest, Preparation, PreparedManifest,
};
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::order::StartOrder;
use bonfire_domain::spec::Spec;
use bonfire_domain::{Digest, Slot};
use tokio::sync::{mpsc, oneshot};

use crate::cache::Pin;
use crate::depot::{Depot, DepotError};
use crate::executor::frame::{
    Begin, LocalBlob, LocalCheckpoint, LocalData, PrepareFailure, PrepareJob,
};

/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Asked for again after this, while the log takes prepared data in.
const PREPARED_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// Prepared data that the log has not taken in this time is made again.
const PREPARED_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

/// What the loader asks of the agent.
pub enum LoaderRequest {
    /// Have the slot's executor prepare a dataset.
    Prepare {
        slot: Slot,
        job: Box<PrepareJob>,
        answer: oneshot::Sender<Result<String, PrepareFailure>>,
    },
    /// Prepared data was made here and uploaded.
    Prepared {
        slot: Slot,
        key: Digest,
        manifest: String,
    },
}

/// Brings data and checkpoints here. Cheap to clone.
#[derive(Clone)]
pub struct Loader {
    pub depot: Depot,
    /// Where attempts write and prepared data is made.
    spool: PathBuf,
    agent: mpsc::Sender<LoaderRequest>,
    keys: Arc<Mutex<BTreeMap<Digest, Arc<Key>>>>,
}

/// Prepared data that was asked for.
#[derive(Default)]
struct Key {
    /// One preparation of it at a time on this machine.
    manifest: tokio::sync::Mutex<Option<Arc<String>>>,
}

/// An attempt that can begin.
pub struct Loaded {
    pub begin: Box<Begin>,
    /// Held until the attempt is over.
    pub pins: Vec<Pin>,
}

impl Loader {
    pub fn new(depot: Depot, spool: PathBuf, agent: mpsc::Sender<LoaderRequest>) -> Loader {
        Loader {
            depot,
            spool,
            agent,
            keys: Arc::default(),
        }
    }

    /// The folder of one attempt.
    pub fn spool_of(&self, order: &StartOrder) -> PathBuf {
        let (trial, attempt) = (order.trial, order.attempt.0);
        self.spool
            .join(format!("{}-{}-{attempt}", trial.sweep.0, trial.number))
    }

    /// An attempt that needs nothing but its order.
    pub fn bare(&self, order: Box<StartOrder>) -> Box<Begin> {
        Box::new(Begin {
            spool: self.spool_of(&order),
            order: *order,
            data: None,
            resume: None,
        })
    }

    /// Brings what an attempt needs.
    ///
    /// # Errors
    /// How the attempt ends that cannot begin.
    pub async fn load(&self, order: Box<StartOrder>, spec: &Spec) -> Result<Loaded, AttemptEnd> {
        let mut pins = Vec::new();
        let resume = match &order.from {
            Some(Checkpoint {
                manifest: Some(manifest),
                step,
                ..
            }) => Some(self.load_checkpoint(*manifest, *step, &mut pins).await?),
            _ => None,
        };
        let data = match order.dataset {
            Some(version) => Some(self.load_data(&order, spec, version, &mut pins).await?),
            None => None,
        };
        let spool = self.spool_of(&order);
        Ok(Loaded {
            begin: Box::new(Begin {
                order: *order,
                data,
                resume,
                spool,
            }),
            pins,
        })
    }

    async fn load_checkpoint(
        &self,
        manifest: BlobRef,
        step: u64,
        pins: &mut Vec<Pin>,
    ) -> Result<LocalCheckpoint, AttemptEnd> {
        let end = |error: DepotError| match error {
            DepotError::Gone { .. } => failed(Failure::DamagedCheckpoint { step }, error),
            error => failed(Failure::Io, error),
        };
        let json = self
            .depot
            .read(manifest.digest, MANIFEST_BYTES_MAX)
            .await
            .map_err(end)?;
        let manifest: CheckpointManifest = serde_json::from_slice(&json).map_err(|e| {
            failed(
                Failure::DamagedCheckpoint { step },
                format!("manifest: {e}"),
            )
        })?;
        let chunks = manifest
            .parts
            .iter()
            .flat_map(|part| part.chunks.iter().copied());
        let chunks: std::collections::BTreeSet<BlobRef> = chunks.collect();
        pins.push(self.depot.cache.pin(chunks.iter().map(|blob| blob.digest)));
        let mut files = Vec::new();
        for blob in chunks {
            self.depot.fetch_small(blob).await.map_err(end)?;
            files.push(self.local(blob));
        }
        Ok(LocalCheckpoint { manifest, files })
    }

    async fn load_data(
        &self,
        order: &StartOrder,
        spec: &Spec,
        version: Digest,
        pins: &mut Vec<Pin>,
    ) -> Result<LocalData, AttemptEnd> {
        let spec = spec.with(&order.parameters).map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            failed(Failure::Unusable, texts.join("\n"))
        })?;
        let preparation = Preparation::of(&spec, version);
        let preparation =
            preparation.ok_or_else(|| failed(Failure::Unusable, "the spec has no data"))?;
        let json = self.prepared(&preparation, order.slot).await?;
        let files = files_of(&read_manifest(&json)?);
        let fetched = match self.fetch_files(files.clone(), pins).await {
            // Made again from whole rows it has the same bytes.
            Err(DepotError::Gone { .. }) => {
                self.prepare(&preparation, order.slot).await?;
                self.fetch_files(files, pins).await
            }
            fetched => fetched,
        };
        let files = fetched.map_err(of_data)?;
        Ok(LocalData {
            manifest: json.as_ref().clone(),
            files,
        })
    }

    /// The prepared manifest as JSON: the fleet's, or made here if there is none yet.
    async fn prepared(
        &self,
        preparation: &Preparation,
        slot: Slot,
    ) -> Result<Arc<String>, AttemptEnd> {
        let digest = preparation.key();
        let key = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(keys.entry(digest).or_default())
        };
        let mut known = key.manifest.lock().await;
        if let Some(json) = &*known {
            return Ok(Arc::clone(json));
        }
        let json = loop {
            if let Some(json) = self.ask_prepared(digest).await? {
                break Arc::new(json);
            }
            self.prepare(preparation, slot).await?;
            // The log takes the first one made, wherever that was. It takes none whose files are being deleted: then it is
            // made again.
            if let Some(json) = self.wait_prepared(digest).await? {
                break Arc::new(json);
            }
        };
        *known = Some(Arc::clone(&json));
        Ok(json)
    }

    /// What the log took, if it took any within [`PREPARED_WAIT`].
    async fn wait_prepared(&self, key: Digest) -> Result<Option<String>, AttemptEnd> {
        let mut waited = std::time::Duration::ZERO;
        while waited < PREPARED_WAIT {
            tokio::time::sleep(PREPARED_PAUSE).await;
            waited += PREPARED_PAUSE;
            if let Some(json) = self.ask_prepared(key).await? {
                return Ok(Some(json));
            }
        }
        Ok(None)
    }

    async fn ask_prepared(&self, key: Digest) -> Result<Option<String>, AttemptEnd> {
        let asked = self
            .depot
            .call(|to| async move { to.fleet.fetch_prepared(key).await });
        asked.await.map_err(|e| failed(Failure::Io, e))
    }

    /// Makes prepared data in the slot's executor, uploads it and tells the log.
    async fn prepare(&self, preparation: &Preparation, slot: Slot) -> Result<(), AttemptEnd> {
        let key = preparation.key();
        let version = preparation.version;
        let dataset = self
            .depot
            .call(|to| async move { to.fleet.fetch_dataset(version).await });
        let dataset = dataset.await.map_err(|e| failed(Failure::Io, e))?;
        let manifest: DatasetManifest = serde_json::from_str(&dataset)
            .map_err(|e| failed(Failure::Io, format!("dataset: {e}")))?;
        let mut pins = Vec::new();
        let files = self.fetch_files(manifest.files, &mut pins).await;
        let files = files.map_err(of_data)?;
        let out = self
            .spool
            .join(format!("prepare-{}-{}", slot.0, key.short()));
        // Left by a preparation that was broken off.
        let _ = tokio::fs::remove_dir_all(&out).await;
        let preparation = serde_json::to_string(preparation).map_err(|e| failed(Failure::Io, e))?;
        let job = Box::new(PrepareJob {
            key,
            preparation,
            dataset,
            files,
            out: out.clone(),
        });
        let (answer, made) = oneshot::channel();
        self.tell(LoaderRequest::Prepare { slot, job, answer })
            .await?;
        let made = made
            .await
            .map_err(|_| failed(Failure::Io, "preparing was broken off"))?;
        let json = made.map_err(|failure| {
            let kind = if failure.unusable {
                Failure::Unusable
            } else {
                Failure::Io
            };
            failed(kind, failure.detail)
        })?;
        for DatasetFile { blob, .. } in files_of(&read_manifest(&json)?) {
            let path = out.join(blob.digest.hex());
            self.depot
                .upload(blob.digest, &path)
                .await
                .map_err(|e| failed(Failure::Io, e))?;
            self.depot
                .cache
                .adopt(blob, &path)
                .map_err(|e| failed(Failure::Io, e))?;
        }
        remove(&out).await;
        self.tell(LoaderRequest::Prepared {
            slot,
            key,
            manifest: json,
        })
        .await
    }

    async fn tell(&self, request: LoaderRequest) -> Result<(), AttemptEnd> {
        self.agent
            .send(request)
            .await
            .map_err(|_| failed(Failure::Io, DepotError::Ending))
    }

    async fn fetch_files(
        &self,
        files: Vec<DatasetFile>,
        pins: &mut Vec<Pin>,
    ) -> Result<Vec<LocalBlob>, DepotError> {
        pins.push(
            self.depot
                .cache
                .pin(files.iter().map(|file| file.blob.digest)),
        );
        let mut local = Vec::new();
        for DatasetFile { blob, .. } in files {
            self.depot.fetch(blob).await?;
            local.push(self.local(blob));
        }
        Ok(local)
    }

    fn local(&self, blob: BlobRef) -> LocalBlob {
        LocalBlob {
            blob,
            path: self.depot.cache.path(blob.digest),
        }
    }
}

fn files_of(manifest: &PreparedManifest) -> Vec<DatasetFile> {
    manifest
        .train
        .files
        .iter()
        .chain(&manifest.valid.files)
        .copied()
        .collect()
}

fn read_manifest(json: &str) -> Result<PreparedManifest, AttemptEnd> {
    serde_json::from_str(json).map_err(|e| failed(Failure::Io, format!("prepared manifest: {e}")))
}

/// How an attempt ends whose rows do not come.
fn of_data(error: DepotError) -> AttemptEnd {
    match error {
        DepotError::Gone { .. } => failed(
            Failure::DamagedData,
            format!("{error}; add the dataset again (bonfire dataset add) and resume"),
        ),
        error => failed(Failure::Io, error),
    }
}

fn failed(failure: Failure, detail: impl ToString) -> AttemptEnd {
    AttemptEnd::Failed {
        failure,
        detail: detail.to_string(),
    }
}

/// Removes a folder of ours that may not be there; what stays costs space only, until the next start.
pub async fn remove(dir: &Path) {
    let _ = tokio::fs::remove_dir_all(dir).await;
}
