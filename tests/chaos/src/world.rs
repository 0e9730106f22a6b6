//! A mud with its processes, and all there is around it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use i3_router::{Config, Router, RunningRouter};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::ear::{Doors, Ear};
use crate::inside::Inside;
use crate::nats::{Nats, Servers};
use crate::process::{Gateway, Place, open};
use crate::proxy::Proxy;
use crate::tally::Tally;
use crate::watcher::{Sight, Watcher};
use crate::{Error, MUD, far, hosted, mouth};

/// How long it may take until all is well before a run.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a session must have lasted: in its first second it finds out whether its router sends probes back.
const STEADY: Duration = Duration::from_secs(2);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// The same where what comes next is to come at once.
const SOON: Duration = Duration::from_millis(5);

/// The programs under test.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The gateway.
    pub gateway: PathBuf,
    /// The gateway of the version before.
    pub previous: Option<PathBuf>,
    /// The nats-server.
    pub nats_server: PathBuf,
}

impl Programs {
    /// The gateway of the version before.
    ///
    /// # Errors
    /// When it was not given.
    pub fn previous(&self) -> Result<PathBuf, Error> {
        self.previous.clone().ok_or(Error::NoPrevious)
    }
}

/// What a world is like.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The mud has three processes, not two.
    pub three: bool,
    /// The client is on a process that stands by when something is broken, not on the holder.
    pub on_standby: bool,
    /// The router sees each process of the mud come from another address, as pods on nodes of their own do.
    pub own_addresses: bool,
    /// What NATS is like.
    pub nats: Servers,
    /// The mud's processes are of the version before.
    pub previous: bool,
    /// Nobody talks on the provider's channel.
    pub network_alone: bool,
}

impl Setup {
    /// As simple as can be.
    pub const PLAIN: Self = Self {
        three: false,
        on_standby: false,
        own_addresses: false,
        nats: Servers::PLAIN,
        previous: false,
        network_alone: false,
    };

    fn processes(self) -> usize {
        if self.three { 3 } else { 2 }
    }
}

/// A process of the mud and its links.
pub struct Member {
    /// The process.
    pub gateway: Gateway,
    /// Between it and the router.
    pub router: Proxy,
    /// Between it and NATS.
    pub nats: Proxy,
    /// Between clients and it.
    pub client: Proxy,
}

/// A mud with its processes, and all there is around it. All of it ends when dropped.
pub struct World {
    /// First, because they would miss the rest.
    tasks: JoinSet<()>,
    /// What was said and heard.
    pub tally: Arc<Tally>,
    /// What the router saw.
    pub watcher: Watcher,
    /// The router.
    pub router: RunningRouter,
    /// NATS.
    pub nats: Nats,
    /// The processes of the mud.
    pub members: Vec<Member>,
    setup: Setup,
    /// The programs under test.
    pub programs: Programs,
    /// Processes of the mud up to now.
    started: u8,
    doors: Doors,
    ear: watch::Receiver<Option<SocketAddr>>,
    /// The gateway of the other hosted mud.
    pub hosted: Gateway,
    hosted_nats: Proxy,
}

impl World {
    /// Starts everything but the mud's own processes, of which [`World::ready`] sees to it that they are there.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(programs: &Programs, setup: Setup) -> Result<Self, Error> {
        let router = Router::start(Config::strict()).await?;
        let nats = Nats::start(&programs.nats_server, setup.nats).await?;
        let hosted_nats = Proxy::start(nats.address(0)).await?;
        let place = Place {
            mud: hosted::NAME.to_owned(),
            router_name: router.name().to_owned(),
            router: router.addr(),
            nats: hosted_nats.address(),
            identity: nats.identity(router.name(), hosted::NAME)?,
        };
        let hosted = Gateway::start(&programs.gateway, &place).await?;
        hosted.log.wait(hosted::NAME, "SessionEstablished").await?;
        let (tally, watcher, doors) = (Arc::new(Tally::default()), Watcher::default(), Doors::default());
        let channels = if setup.network_alone { mouth::NETWORK } else { mouth::CHANNELS };
        let (listener, ear) = Ear::new(doors.clone(), Arc::clone(&tally), channels);
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher.clone().watch(router.clone()));
        tasks.spawn(far::live(router.addr(), router.name().to_owned(), Arc::clone(&tally)));
        tasks.spawn(hosted::live(open(hosted.address).await?, Arc::clone(&tally), channels));
        tasks.spawn(listener.listen());
        Ok(Self {
            tally,
            watcher,
            router,
            nats,
            members: Vec::new(),
            setup,
            programs: programs.clone(),
            started: 0,
            doors,
            ear,
            hosted,
            hosted_nats,
            tasks,
        })
    }

    /// All links to NATS.
    pub fn nats_links(&self) -> impl Iterator<Item = &Proxy> {
        self.members.iter().map(|member| &member.nats).chain([&self.hosted_nats])
    }

    /// Does something beside, at most as long as the world is there.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until all is well: all processes there, one of them logged in, on one link, with the client where it is to be, who
    /// hears everybody. Which one that is.
    ///
    /// # Errors
    /// When it does not get well.
    pub async fn ready(&mut self) -> Result<usize, Error> {
        while self.members.len() < self.setup.processes() {
            let program =
                if self.setup.previous { self.programs.previous()? } else { self.programs.gateway.clone() };
            self.add_member(&program).await?;
        }
        let (start, place) = (Instant::now(), self.tally.place());
        while !self.all_ready().await && start.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
        self.open_doors();
        loop {
            if let Some(holder) = self.holder().await {
                let seat = self.seat(holder);
                self.doors.want(Some(seat));
                if *self.ear.borrow() == Some(seat) && self.tally.reaches(&place) {
                    self.doors.want(None);
                    return Ok(holder);
                }
            }
            if start.elapsed() > PATIENCE {
                let logs = self.members.iter().map(|member| member.gateway.log.tail(12));
                let logs = logs.collect::<Vec<_>>().join("\n---\n");
                let what = format!(
                    "a world in which all is well ({:?}, client at {:?});\n{logs}\nthis",
                    self.watcher.last(),
                    *self.ear.borrow()
                );
                return Err(Error::TooLate { what, seconds: PATIENCE.as_secs() });
            }
            sleep(LOOK).await;
        }
    }

    /// The process that is logged in, if it alone is, and the others stand by.
    async fn holder(&self) -> Option<usize> {
        let holder = self.members.iter().position(|member| member.gateway.holds())?;
        let sight = self.watcher.last()?;
        let steady = self.watcher.steady_for(Instant::now()) >= STEADY;
        let one_link = sight.sessions.len() == 1 && sight.open == 1 && steady;
        let others = self.members.iter().enumerate().filter(|(index, _)| *index != holder);
        let stand_by = others.map(|(_, member)| member).all(|member| member.gateway.stands_by());
        (one_link && stand_by && self.members[holder].gateway.is_connected().await).then_some(holder)
    }

    /// Where the client is to be.
    fn seat(&self, holder: usize) -> SocketAddr {
        let stands_by = |index: &usize| *index != holder;
        let standby = (0..self.members.len()).find(stands_by).filter(|_| self.setup.on_standby);
        self.members[standby.unwrap_or(holder)].client.address()
    }

    /// Waits until of everybody something is heard that is said from now on.
    ///
    /// # Errors
    /// When that is not so in time.
    pub async fn all_heard(&self, limit: Duration) -> Result<(), Error> {
        let (start, place) = (Instant::now(), self.tally.place());
        while !self.tally.reaches(&place) {
            if start.elapsed() > limit {
                let what = "the recovery".to_owned();
                return Err(Error::TooLate { what, seconds: limit.as_secs() });
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Replaces each process by one of another program, as a rollout does: a new one is started, and when it stands by, or
    /// has taken over, an old one is told to end.
    ///
    /// # Errors
    /// When a process does not start or end.
    pub async fn roll(&mut self, program: &Path) -> Result<(), Error> {
        for _ in 0..self.setup.processes() {
            // As soon as a pod starts, and never while the one before is just taking over.
            while self.watcher.steady_for(Instant::now()) < STEADY {
                sleep(LOOK).await;
            }
            self.add_member(program).await?;
            self.all_know_their_part().await?;
            self.open_doors();
            self.end(0, "-TERM").await?;
        }
        self.all_know_their_part().await
    }

    /// Clients go to all processes there are, as a Service has them go to those that are ready.
    fn open_doors(&self) {
        for member in &self.members {
            self.doors.add(member.client.address());
        }
    }

    /// Waits until one process holds the session and all others stand by.
    async fn all_know_their_part(&self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            let holders = self.members.iter().filter(|member| member.gateway.holds()).count();
            let others = self.members.iter().filter(|member| member.gateway.stands_by()).count();
            if (holders, others) == (1, self.members.len() - 1) && self.all_ready().await {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let what = "one process that holds the session".to_owned();
                return Err(Error::TooLate { what, seconds: PATIENCE.as_secs() });
            }
            sleep(LOOK).await;
        }
    }

    /// Whether all are ready, which a rollout waits for.
    async fn all_ready(&self) -> bool {
        let mut ready = true;
        for member in &self.members {
            let inside = Inside::of(member.gateway.observers).await.unwrap_or_default();
            ready &= inside.health("/status").is_some_and(|status| status == "ready");
        }
        ready
    }

    async fn add_member(&mut self, program: &Path) -> Result<(), Error> {
        self.started = self.started % 200 + 1;
        let address = if self.setup.own_addresses { 1 + self.started } else { 1 };
        let router = Proxy::start_from(Ipv4Addr::new(127, 0, 0, address), self.router.addr()).await?;
        let nats = Proxy::start(self.nats.address(self.members.len())).await?;
        let place = Place {
            mud: MUD.to_owned(),
            router_name: self.router.name().to_owned(),
            router: router.address(),
            nats: nats.address(),
            identity: self.nats.identity(self.router.name(), MUD)?,
        };
        let gateway = Gateway::start(program, &place).await?;
        let client = Proxy::start(gateway.address).await?;
        self.members.push(Member { gateway, router, nats, client });
        Ok(())
    }

    /// Waits until another process is logged in at the router than before: which one that is.
    ///
    /// # Errors
    /// When none is in time.
    pub async fn next_holder(&self, before: Option<Sight>) -> Result<usize, Error> {
        let (start, before) = (Instant::now(), before.unwrap_or_default().sessions);
        while start.elapsed() < PATIENCE {
            let sessions = self.watcher.last().unwrap_or_default().sessions;
            let holder = self.members.iter().position(|member| member.gateway.holds());
            if let Some(holder) = holder.filter(|_| !sessions.is_empty() && sessions != before) {
                return Ok(holder);
            }
            sleep(SOON).await;
        }
        Err(Error::TooLate { what: "another login".to_owned(), seconds: PATIENCE.as_secs() })
    }

    /// Ends a process by a signal, and forgets it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn end(&mut self, member: usize, signal: &str) -> Result<(), Error> {
        self.members[member].gateway.signal(signal).await?;
        self.bury(member).await
    }

    async fn bury(&mut self, member: usize) -> Result<(), Error> {
        self.members[member].gateway.ended().await?;
        let member = self.members.remove(member);
        self.doors.remove(member.client.address());
        Ok(())
    }
}
