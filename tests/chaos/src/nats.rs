//! NATS servers with what the operator makes on them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use mudgateway_crds::bus::{LOCK_BUCKET, bucket_stream};
use mudgateway_layout::Layout;
use testnats::{NatsServer, Options};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::secure::{Identity, Security};

/// How long a cluster may take to find a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// Servers of a cluster.
const CLUSTER: usize = 3;

/// How much of the muds' state is kept, where storage is limited and where it is not.
const LITTLE_STATE: i64 = 4 << 20;
const STATE: i64 = 256 << 20;

/// The most that a server of limited storage stores, and the size of a small disk: what our streams may take, and a little more.
const LITTLE: u64 = 112 << 20;

/// The same of one that has all it needs.
const PLENTY: u64 = 8 << 30;

/// What is stored at a time until there is no room.
const FILLING: usize = 512 << 10;

/// The stream that takes all room there is.
const FILLER: &str = "filler";

/// What NATS is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Three servers in a cluster, not one.
    pub cluster: bool,
    /// What each may store.
    pub storage: Storage,
    /// It asks for identities and TLS.
    pub secured: bool,
}

impl Servers {
    /// One server that lets anybody in and has room.
    pub const PLAIN: Self = Self { cluster: false, storage: Storage::Plenty, secured: false };
}

/// How much a server may store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// More than is needed.
    Plenty,
    /// It has a limit of its own.
    Limited,
    /// Its disk is small: a file system in memory, which this process must be allowed to mount.
    SmallDisk,
}

/// One server, or a cluster of three. Killed when dropped.
pub struct Nats {
    nodes: Vec<Node>,
    storage: Storage,
    security: Option<Security>,
}

struct Node {
    /// Before the folder it lies on.
    _disk: Option<Disk>,
    server: NatsServer,
}

/// A small file system in memory, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    async fn mount(folder: &Path) -> Result<Self, Error> {
        let size = format!("size={LITTLE}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "chaos"]).arg(folder).output().await?;
        if mount.status.success() {
            return Ok(Self(folder.to_owned()));
        }
        Err(Error::NoDisk(String::from_utf8_lossy(&mount.stderr).trim().to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, for the server may not be gone yet. What stays ends with the mount namespace of the whole run.
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

impl Node {
    /// Starts one of those that have these ports, with more in its configuration.
    async fn start(
        program: &Path,
        name: usize,
        ports: &[(u16, u16)],
        storage: Storage,
        more: &str,
    ) -> Result<Self, Error> {
        let data = tempfile::tempdir()?;
        let disk = match storage {
            Storage::SmallDisk => Some(Disk::mount(data.path()).await?),
            Storage::Plenty | Storage::Limited => None,
        };
        let limit = if storage == Storage::Limited { LITTLE } else { PLENTY };
        let options = Options {
            port: Some(ports[name].0),
            config: more.to_owned(),
            jetstream: format!("max_file_store: {limit}"),
            args: if ports.len() > 1 { cluster(name, ports) } else { Vec::new() },
        };
        Ok(Self { _disk: disk, server: NatsServer::start_in(data, program, options).await? })
    }
}

/// The arguments of a server of a cluster.
fn cluster(name: usize, ports: &[(u16, u16)]) -> Vec<String> {
    let url = |port: u16| format!("nats://127.0.0.1:{port}");
    let routes: Vec<_> = ports.iter().map(|(_, port)| url(*port)).collect();
    let arguments = [
        ("--name", node_name(name)),
        ("--cluster_name", "chaos".to_owned()),
        ("--cluster", url(ports[name].1)),
        ("--routes", routes.join(",")),
    ];
    arguments.into_iter().flat_map(|(argument, value)| [argument.to_owned(), value]).collect()
}

fn node_name(index: usize) -> String {
    format!("n{index}")
}

impl Nats {
    /// Starts one server, or a cluster.
    ///
    /// # Errors
    /// When it cannot be started or prepared.
    pub async fn start(program: &Path, servers: Servers) -> Result<Self, Error> {
        let Servers { cluster, storage, secured } = servers;
        let security = if secured { Some(Security::new()?) } else { None };
        let more = security.as_ref().map(Security::config).unwrap_or_default();
        let count = if cluster { CLUSTER } else { 1 };
        let ports = free_ports(count)?;
        let mut nodes = Vec::new();
        for name in 0..count {
            nodes.push(Node::start(program, name, &ports, storage, &more).await?);
        }
        let nats = Self { nodes, storage, security };
        nats.prepare().await?;
        Ok(nats)
    }

    /// Where a server is.
    pub fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node % self.nodes.len()].server.address()
    }

    /// By what the gateway of a mud logs in, where that is asked for.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn identity(&self, network: &str, mud: &str) -> Result<Option<Identity>, Error> {
        self.security.as_ref().map(|security| security.identity(network, mud)).transpose()
    }

    /// Kills a server.
    ///
    /// # Errors
    /// When the system does not let us.
    pub async fn kill(&mut self, node: usize) -> Result<(), Error> {
        Ok(self.nodes[node].server.kill().await?)
    }

    /// Starts again what was killed, with its data and on its port. One server loses what was in memory, such as the locks: the
    /// operator makes it anew.
    ///
    /// # Errors
    /// When one does not get ready.
    pub async fn restart_all(&mut self) -> Result<(), Error> {
        for node in self.nodes.iter_mut().filter(|node| !node.server.is_running()) {
            node.server.restart().await?;
        }
        if self.nodes.len() == 1 { self.prepare().await } else { Ok(()) }
    }

    /// Takes all the room there is, so that nothing can be stored any more.
    ///
    /// # Errors
    /// When nobody can.
    pub async fn fill(&self) -> Result<(), Error> {
        match self.storage {
            Storage::SmallDisk => self.fill_disk(),
            Storage::Plenty | Storage::Limited => Ok(self.fill_stream().await?),
        }
    }

    fn fill_disk(&self) -> Result<(), Error> {
        for node in &self.nodes {
            let mut filler = std::fs::File::create(node.server.data().join(FILLER))?;
            while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
        }
        Ok(())
    }

    async fn fill_stream(&self) -> Result<(), async_nats::Error> {
        let context = self.context().await?;
        let config = stream::Config {
            name: FILLER.to_owned(),
            subjects: vec![FILLER.to_owned()],
            ..Default::default()
        };
        context.create_stream(config).await?;
        while context.publish(FILLER, vec![0; FILLING].into()).await?.await.is_ok() {}
        Ok(())
    }

    /// Makes room again. Who had no disk left has to be started anew: a server does not write to a stream again that it
    /// could not write to.
    ///
    /// # Errors
    /// When nobody can.
    pub async fn empty(&mut self) -> Result<(), Error> {
        if self.storage != Storage::SmallDisk {
            self.context().await?.delete_stream(FILLER).await.map_err(async_nats::Error::from)?;
            return Ok(());
        }
        for node in 0..self.nodes.len() {
            std::fs::remove_file(self.nodes[node].server.data().join(FILLER))?;
            self.kill(node).await?;
        }
        self.restart_all().await
    }

    /// The server that leads for the session locks.
    ///
    /// # Errors
    /// When nobody says.
    pub async fn leader(&self) -> Result<usize, async_nats::Error> {
        let mut stream = self.context().await?.get_stream(bucket_stream(LOCK_BUCKET)).await?;
        let cluster = stream.info().await?.cluster.clone();
        let leader = cluster.and_then(|cluster| cluster.leader);
        let names = (0..self.nodes.len()).find(|index| leader.as_deref() == Some(&node_name(*index)));
        Ok(names.unwrap_or_default())
    }

    async fn context(&self) -> Result<jetstream::Context, async_nats::Error> {
        let alive = self.nodes.iter().find(|node| node.server.is_running());
        let address = alive.map_or_else(|| self.address(0), |node| node.server.address());
        let login = self.security.as_ref().map(Security::admin).transpose()?.unwrap_or_default();
        Ok(jetstream::new(login.options().connect(format!("nats://{address}")).await?))
    }

    /// Makes what the operator makes. A cluster that has no leader yet refuses everything.
    async fn prepare(&self) -> Result<(), Error> {
        let state_bytes = if self.storage == Storage::Plenty { STATE } else { LITTLE_STATE };
        let layout = Layout { storage: stream::StorageType::File, replicas: self.nodes.len(), state_bytes };
        let ensure =
            async || Ok::<_, async_nats::Error>(layout.ensure(&self.context().await?).await.map(drop)?);
        let end = Instant::now() + PATIENCE;
        loop {
            match ensure().await {
                Err(_) if Instant::now() < end => sleep(Duration::from_millis(200)).await,
                done => return Ok(done?),
            }
        }
    }
}

/// Ports for clients and for the cluster that were free a moment ago.
fn free_ports(count: usize) -> Result<Vec<(u16, u16)>, Error> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held: Vec<_> = (0..count).map(|_| Ok((listen()?, listen()?))).collect::<Result<_, Error>>()?;
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    held.iter().map(|(client, cluster)| Ok((port(client)?, port(cluster)?))).collect()
}
