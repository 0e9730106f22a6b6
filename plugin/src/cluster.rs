//! The way to the cluster, as kubectl takes it.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cli::ClusterArgs;
use crate::error::{Error, Result};

/// How long a connection to the API server may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The cluster, and the namespace that is meant when none is named.
#[derive(Clone)]
pub struct Cluster {
    /// The API server.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl Cluster {
    /// The cluster that the flags, the environment and the kubeconfig name.
    ///
    /// # Errors
    /// When there is no usable kubeconfig, and no pod's environment either.
    pub async fn new(args: &ClusterArgs) -> Result<Self> {
        let mut config = config(args).await?;
        config.connect_timeout = Some(CONNECT);
        if args.impersonate.is_some() {
            config.auth_info.impersonate.clone_from(&args.impersonate);
        }
        if !args.impersonate_groups.is_empty() {
            config.auth_info.impersonate_groups = Some(args.impersonate_groups.clone());
        }
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Error::Kubeconfig(error.to_string()))?;
        Ok(Self { client, namespace })
    }
}

async fn config(args: &ClusterArgs) -> Result<Config> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    let failed = |error: kube::config::KubeconfigError| Error::Kubeconfig(error.to_string());
    match &args.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)
        }
        None if args.context.is_some() || args.cluster.is_some() || args.user.is_some() => {
            Config::from_kubeconfig(&options).await.map_err(failed)
        }
        // This one knows the environment of a pod, too.
        None => Config::infer().await.map_err(|error| Error::Kubeconfig(error.to_string())),
    }
}
