//! The socket of the KMS plugin: bound at a start with everything else, and gone before the store is closed.

use std::os::unix::net::UnixListener;

use tokio::task::JoinHandle;

use super::unix_socket::{self, SocketFile, UnixSocketError};
use crate::config::KmsConfig;
use crate::kms::{Account, AllowedPeers, Caller, Room, Stop, serve};

/// A socket that is bound and on which nothing is answered yet.
pub struct KmsSocket {
    listener: UnixListener,
    file: SocketFile,
    allowed: AllowedPeers,
    caller: Caller,
}

/// A socket on which is answered.
pub struct ServedKmsSocket {
    stop: Stop,
    serving: JoinHandle<()>,
    _file: SocketFile,
}

impl KmsSocket {
    /// Takes the socket.
    pub fn bind(config: KmsConfig, room: Room) -> Result<Self, UnixSocketError> {
        let KmsConfig { socket, key, namespace, account, allow_uids } = config;
        let (listener, file) = unix_socket::bind_for(&socket, &allow_uids)?;
        let caller = Caller::new(room, key, Account { namespace, name: account });
        Ok(Self { listener, file, allowed: AllowedPeers::new(&allow_uids), caller })
    }

    /// Answers from now on.
    pub fn serve(self) -> ServedKmsSocket {
        let Self { listener, file, allowed, caller } = self;
        let (stop, stopped) = Stop::new();
        let serving = tokio::spawn(async move {
            if let Err(error) = serve(listener, allowed, caller, stopped).await {
                tracing::error!(%error, "the socket of the KMS plugin cannot be served");
            }
        });
        ServedKmsSocket { stop, serving, _file: file }
    }
}

impl ServedKmsSocket {
    /// Finishes what is under way.
    pub async fn close(self) {
        self.stop.stop();
        let _ = self.serving.await;
    }
}
