//! Two applications on the same sockets: one that serves an open home, and a small one that answers while the home is
//! sealed or being opened. The process goes from one to the other and back; the sockets stay bound, so that clients that
//! come meanwhile wait, and are not turned away.
//!
//! Sealing ends the open application: streams, then requests, then everything that runs for it, then the store. Its tasks
//! have a runtime of their own, so that none can outlive it, and it is looked whether the keys are gone.
//!
//! What it never does: call a home sealed whose keys are in memory. If they are not gone in time, the process ends.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::web::ServiceConfig;
use rustls::ServerConfig;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, watch};

use crate::api::{SealedState, Unseal, UnsealError, configure_sealed};
use crate::clock::SharedClock;
use crate::config::{Advertise, ClientCertificates, HomePaths, KmsConfig, Limits, ListenAddress, TlsFiles, UnixSocket};
use crate::crypto::{Keyring, SlotLimits};
use crate::keys::OpenKeys;
use crate::pki::Names;

use super::assembly::{self, Assembly, Settings, Signs};
use super::certificates::{Presented, present_generated, present_sealed};
use super::edge::Hosts;
use super::first_steps::{FirstSteps, Opener, sealed_steps};
use super::gate::Gate;
use super::kms_socket::KmsSocket;
use super::lifecycle::{self, Ended, Heeded, Signals, run_until_stopped};
use super::listen::{self, Application, Listeners};
use super::lock::HomeLock;
use super::peers::Peers;
use super::renewal::{Renewal, Source};
use super::sealing::{Sealing, UnsealFacts, Unsealed, facts_of, verifying};
use super::unix_socket::{self, SocketFile};
use super::{BACKGROUND_THREADS, ServeError, client_certificates, present_own, root_key, server_url, tls};

/// Opening a home takes less as a rule; where it takes longer, the server says so meanwhile.
const OPENED_AT_ONCE: Duration = Duration::from_millis(500);
/// What a request may still take that is carried out while the home is sealed, in blocking work of its own.
const TASKS_END_WITHIN: Duration = Duration::from_secs(20);
const KEYS_GONE_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a server has all the time.
pub struct Serving {
    pub signals: Signals,
    pub lock: HomeLock,
    pub paths: HomePaths,
    pub clock: SharedClock,
    pub listen: ListenAddress,
    pub advertise: Vec<Advertise>,
    pub tls: Option<TlsFiles>,
    pub client_certificates: ClientCertificates,
    pub unix_socket: Option<UnixSocket>,
    pub kms: Option<KmsConfig>,
    pub limits: Limits,
    /// What of the configuration concerns an open home. Its `seal` tells `sealed`.
    pub settings: Settings,
    /// Is told to seal.
    pub seal: Arc<Notify>,
    /// Taken when they are first listened on.
    pub bound: Option<Bound>,
}

/// Where the process stands.
pub enum Turn {
    /// The keys are not in memory: why.
    Sealed(&'static str),
    /// The keys are open.
    Keys(OpenKeys, Opener),
    /// The home is.
    Open(Box<OpenHome>, Opener, Option<UnsealFacts>),
    /// It is over.
    Stopped,
}

/// The sockets.
pub struct Bound {
    tcp: TcpListener,
    address: SocketAddr,
    unix: Option<(UnixListener, SocketFile)>,
}

impl Bound {
    /// The same sockets, for one application.
    fn listeners(&self, tls: ServerConfig) -> io::Result<Listeners> {
        let unix = self.unix.as_ref().map(|(listener, _)| listener.try_clone()).transpose()?;
        Ok(Listeners { tcp: self.tcp.try_clone()?, tls, unix })
    }
}

/// An open home, and everything that runs for it.
pub struct OpenHome {
    assembly: Assembly,
    keys: Weak<Keyring>,
    tasks: Tasks,
}

/// A runtime that may be dropped where other tasks run.
struct Tasks(Option<Runtime>);

impl Tasks {
    fn start() -> io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Ok(Self(Some(runtime.worker_threads(BACKGROUND_THREADS).enable_all().build()?)))
    }

    fn handle(&self) -> io::Result<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone()).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Ends every task, and waits for those that cannot be ended at once.
    async fn end(mut self) {
        if let Some(runtime) = self.0.take() {
            // That it was waited for in vain shows in the keys.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(TASKS_END_WITHIN)).await;
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What is served while the home is not open.
#[derive(Clone)]
struct NotOpen(SealedState);

impl Application for NotOpen {
    fn configure(&self, routes: &mut ServiceConfig) {
        configure_sealed(routes, self.0.clone());
    }

    fn begin_shutdown(&self) {}
}

impl Serving {
    /// Goes on until it is over.
    pub async fn run(mut self, mut turn: Turn, announce: impl FnOnce(&str)) -> Result<(), ServeError> {
        let mut announce = Some(announce);
        let mut tell = |text: &str| {
            if let Some(announce) = announce.take() {
                announce(text);
            }
        };
        loop {
            turn = match turn {
                Turn::Sealed(why) => self.sealed(why, &mut tell).await?,
                Turn::Keys(keys, opener) => self.open(keys, opener).await?,
                Turn::Open(home, opener, unsealed) => self.serve(*home, &opener, unsealed, &mut tell).await?,
                Turn::Stopped => return Ok(()),
            }
        }
    }

    /// Answers as a sealed server until somebody unseals it.
    async fn sealed(&mut self, why: &'static str, tell: &mut dyn FnMut(&str)) -> Result<Turn, ServeError> {
        let stored = assembly::read_keys(&self.paths).await?;
        let (sealing, mut keys) = Sealing::new(stored, SlotLimits::default(), why)?;
        let (now, trying) = (sealing.now(), Arc::clone(&sealing));
        let unseal: Unseal = Arc::new(move |request| Box::pin(Arc::clone(&trying).unseal(request)));
        let application = NotOpen(SealedState { now, unseal, clock: Arc::clone(&self.clock) });
        let opening = self.opening();
        let unsealing = async {
            while let Some(Unsealed { keys, facts }) = keys.recv().await {
                match opening(keys).await {
                    Ok(home) => return Some((home, facts)),
                    Err(error) => {
                        tracing::error!(%error, "the home could not be opened, and is sealed again");
                        sealing.failed();
                    }
                }
            }
            None
        };
        let opened = self.meanwhile(application, Some(tell), unsealing).await?.flatten();
        let opener = Opener { file: None, is_in_home: false };
        Ok(opened.map_or(Turn::Stopped, |(home, facts)| Turn::Open(Box::new(home), opener, Some(facts))))
    }

    /// Opens the home, and where that takes a while, says so to who asks. A server that has never been open cannot: it has
    /// no certificate yet.
    async fn open(&mut self, keys: OpenKeys, opener: Opener) -> Result<Turn, ServeError> {
        let mut opening = pin!(self.opening()(keys));
        if let Ok(opened) = tokio::time::timeout(OPENED_AT_ONCE, &mut opening).await {
            return Ok(Turn::Open(Box::new(opened?), opener, None));
        }
        if self.present().is_err() {
            return Ok(Turn::Open(Box::new(opening.await?), opener, None));
        }
        let slots =
            facts_of(&root_key::read_slots(assembly::read_keys(&self.paths).await?.slots.iter().map(Vec::as_slice))?);
        let (_state, now) = watch::channel(verifying(slots));
        let unseal: Unseal = Arc::new(|_| Box::pin(async { Err(UnsealError::Busy) }));
        let application = NotOpen(SealedState { now, unseal, clock: Arc::clone(&self.clock) });
        match self.meanwhile(application, None, &mut opening).await? {
            Some(opened) => Ok(Turn::Open(Box::new(opened?), opener, None)),
            None => Ok(Turn::Stopped),
        }
    }

    /// Opens the store and everything over it, on threads of their own.
    fn opening(&self) -> impl Fn(OpenKeys) -> Opening + use<> {
        let (paths, clock, settings) = (self.paths.clone(), Arc::clone(&self.clock), self.settings.clone());
        move |keys| {
            let (paths, clock, settings) = (paths.clone(), Arc::clone(&clock), settings.clone());
            Box::pin(async move {
                let tasks = Tasks::start()?;
                let runtime = tasks.handle()?;
                let opening = tokio::task::spawn_blocking(move || {
                    runtime.block_on(Assembly::open(&paths, keys, clock, settings))
                });
                let assembly = opening.await.map_err(io::Error::from)??;
                Ok(OpenHome { keys: assembly.keys(), assembly, tasks })
            })
        }
    }

    /// Serves the small application until `work` is done; `None` where a signal says stop before.
    async fn meanwhile<T>(
        &mut self,
        application: NotOpen,
        tell: Option<&mut dyn FnMut(&str)>,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, ServeError> {
        let (source, presented) = self.present()?;
        let tls = tls::server_config(Arc::clone(&presented.certificate), None)?;
        self.bind()?;
        let Some(bound) = &self.bound else { return Ok(None) };
        let (listeners, gate) = (bound.listeners(tls)?, Gate::default());
        let (hosts, state) = (self.hosts(), application.0.now.borrow().state.as_str());
        let server = listen::serve(listeners, Peers::new(None), &self.limits, hosts, (application, gate.clone()), 1)?;
        self.lock.note(Some(bound.address))?;
        tracing::info!(server.address = %bound.address, server.state = state, "listening; the home is not open");
        if let Some(tell) = tell {
            tell(&sealed_steps(&server_url(bound.address, &self.advertise), self.paths.root()));
        }
        let handle = server.handle();
        let (mut server, mut work) = (pin!(server), pin!(work));
        let mut look = tokio::time::interval(super::renewal::LOOK_EVERY);
        let done = loop {
            let anyway = tokio::select! {
                ended = &mut server => return ended.map(|()| None).map_err(Into::into),
                done = &mut work => break Some(done),
                heeded = self.signals.next() => match heeded {
                    Heeded::Stop(name) => {
                        tracing::info!(signal = name, "stopping");
                        break None;
                    }
                    Heeded::Reload => true,
                },
                _ = look.tick() => false,
            };
            if let Source::Own(own) = &source {
                let now = self.clock.unix_seconds();
                super::renewal::report(own.reload(&self.paths, &presented, anyway, now));
            }
        };
        lifecycle::close(server, &handle, &gate).await?;
        Ok(done)
    }

    /// Serves the open home until it is sealed or a signal says stop.
    async fn serve(
        &mut self,
        home: OpenHome,
        opener: &Opener,
        unsealed: Option<UnsealFacts>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Turn, ServeError> {
        let OpenHome { assembly, keys, tasks } = home;
        if let Some(facts) = unsealed {
            assembly.record_unsealed(&facts);
        }
        let now = self.clock.unix_seconds();
        let (source, presented) = if let Some(files) = &self.tls {
            present_own(files.clone(), &self.paths, &self.advertise, now)?
        } else {
            let authority = assembly.authority(Signs::Server, now).await?;
            (Source::Generated, present_generated(&self.paths, &authority, &self.names(), now)?)
        };
        assembly.trust(presented.trust.as_deref());
        let clients = match &self.client_certificates {
            ClientCertificates::Off => None,
            ClientCertificates::On { authorities } => {
                let own = assembly.authority(Signs::Clients, now).await?;
                Some(client_certificates::prepare(&self.paths, &own, authorities, now)?)
            }
        };
        let (verifier, own_authority) = clients.map(|clients| (clients.verifier, clients.own_authority)).unzip();
        let tls = tls::server_config(Arc::clone(&presented.certificate), verifier)?;
        self.bind()?;
        let Some(bound) = &self.bound else { return Ok(Turn::Stopped) };
        let (address, listeners, gate) = (bound.address, bound.listeners(tls)?, Gate::default());

        let kms_socket = self.kms.clone().map(|kms| KmsSocket::bind(kms, assembly.kms())).transpose()?;
        let server_url = server_url(address, &self.advertise);
        let is_first = !self.paths.kubeconfig().exists();
        assembly.write_kubeconfig(&server_url, presented.trust.clone()).await?;
        self.lock.note(Some(address))?;
        let is_own = matches!(source, Source::Own(_));
        let trust = if is_own { self.paths.presented_certificate() } else { self.paths.authority_certificate() };
        let text = FirstSteps {
            is_first,
            server: &server_url,
            home: self.paths.root(),
            kubeconfig: self.paths.kubeconfig(),
            trust: presented.trust.as_ref().map(|_| trust),
            opener,
            socket: self.unix_socket.as_ref().map(|socket| socket.path.as_path()),
            client_authority: own_authority.as_ref().map(|_| self.paths.client_authority_certificate()),
            swagger_ui: self.settings.swagger_ui,
        }
        .text();

        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let application = (assembly.clone(), gate.clone());
        let peers = Peers::new(own_authority);
        let server = listen::serve(listeners, peers, &self.limits, self.hosts(), application, workers)?;
        let (paths, clock) = (self.paths.clone(), Arc::clone(&self.clock));
        let renewal = Arc::new(Renewal { paths, source, presented, assembly: assembly.clone(), clock });
        let looking = tokio::spawn(Arc::clone(&renewal).run());
        let runtime = tasks.handle()?;
        let kms_socket = kms_socket.map(|socket| {
            // Its tasks end with those of the home.
            let _tasks = runtime.enter();
            socket.serve()
        });
        tracing::info!(server.address = %address, "ready");
        tell(&text);

        let on_hangup = || {
            let renewal = Arc::clone(&renewal);
            tokio::task::spawn_blocking(move || renewal.look(true));
        };
        let served = run_until_stopped(server, (&assembly, &gate), &mut self.signals, on_hangup, &self.seal).await;
        looking.abort();
        let _ = looking.await;
        drop(renewal);
        if !matches!(served, Ok(Ended::Sealed)) {
            // Nobody is to find a socket that nobody listens on.
            self.bound = None;
        }
        if let Some(kms_socket) = kms_socket {
            kms_socket.close().await;
        }
        let closed = assembly.close().await;
        match served? {
            Ended::Stopped => closed.map(|()| Turn::Stopped),
            Ended::Sealed => {
                if let Err(error) = closed {
                    tracing::error!(%error, "the store was not closed well");
                }
                tasks.end().await;
                are_gone(&keys).await?;
                tracing::warn!("sealed: the keys are no longer in memory");
                Ok(Turn::Sealed("it was sealed"))
            }
        }
    }

    /// Listens, if it does not yet.
    fn bind(&mut self) -> Result<(), ServeError> {
        if self.bound.is_some() {
            return Ok(());
        }
        let wanted = self.listen.address();
        let failed = |source| ServeError::Bind { address: wanted, source };
        let tcp = listen::bind(wanted).map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        let unix = self.unix_socket.as_ref().map(unix_socket::bind).transpose()?;
        self.bound = Some(Bound { tcp, address, unix });
        Ok(())
    }

    /// The certificate that is presented without a key of the home's.
    fn present(&self) -> Result<(Source, Presented), ServeError> {
        Ok(match &self.tls {
            Some(files) => present_own(files.clone(), &self.paths, &self.advertise, self.clock.unix_seconds())?,
            None => (Source::Generated, present_sealed(&self.paths, self.names())?),
        })
    }

    fn names(&self) -> Names {
        super::names(self.listen, &self.advertise)
    }

    /// Names of one's own certificate are not asked for: it may stand for more than this server.
    fn hosts(&self) -> Hosts {
        Hosts { names: self.names(), any_address: self.listen.address().ip().is_unspecified() }
    }
}

type Opening = std::pin::Pin<Box<dyn Future<Output = Result<OpenHome, ServeError>>>>;

/// Waits until the keys are gone from memory. What held them was told to end before.
async fn are_gone(keys: &Weak<Keyring>) -> Result<(), ServeError> {
    let gone = async {
        while keys.strong_count() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(KEYS_GONE_WITHIN, gone).await.map_err(|_| ServeError::KeysRemain)
}
