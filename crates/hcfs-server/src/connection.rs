//! Connections: how many there are, of whom, how long one may be idle, and TLS on them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Limits;
use crate::exchange::{Activity, exchange};
use crate::metrics::Metrics;
use crate::peer::{Network, Peer, is_trusted};
use crate::rate::Rates;
use crate::socket::Socket;
use crate::tls::Tls;

/// Bytes a connection reads ahead of its request's handler. More would be memory that waits, not speed.
const READ_BUFFER: usize = 64 * 1024;

/// What the connections of one listener share.
pub(crate) struct Connections {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) metrics: Arc<Metrics>,
    tls: Option<Arc<Tls>>,
    places: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    rates: Rates<IpAddr>,
}

/// A connection's place among all, and among those of its address.
struct Place {
    shared: Arc<Connections>,
    address: Option<IpAddr>,
    _one_of_all: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.metrics.connections.dec();
        let Some(address) = self.address else { return };
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

impl Connections {
    pub(crate) fn new(
        router: Router,
        limits: Limits,
        trusted_proxies: Vec<Network>,
        metrics: Arc<Metrics>,
        tls: Option<Arc<Tls>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            router,
            places: Arc::new(Semaphore::new(limits.connections)),
            rates: Rates::new(limits.address_rate),
            limits,
            trusted_proxies,
            metrics,
            tls,
            by_address: Mutex::default(),
        })
    }

    /// Counts a request of `peer`.
    ///
    /// # Errors
    /// How long the peer has to wait.
    pub(crate) fn count(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        if self.speaks_for_many(peer.0) { Ok(()) } else { self.rates.take(peer.counted(), now) }
    }

    /// This machine and the proxies: their address says nothing about who asks.
    fn speaks_for_many(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback() || is_trusted(address, &self.trusted_proxies)
    }

    /// A place for a connection from `address`; `None` when it has enough.
    fn place(self: &Arc<Self>, address: IpAddr, one_of_all: OwnedSemaphorePermit) -> Option<Place> {
        let address = (!self.speaks_for_many(address)).then(|| Peer(address.to_canonical()).counted());
        if let Some(address) = address {
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(address).or_default();
            if *count >= self.limits.connections_per_address {
                self.metrics.connections_refused.inc();
                return None;
            }
            *count += 1;
        }
        self.metrics.connections.inc();
        Some(Place { shared: Arc::clone(self), address, _one_of_all: one_of_all })
    }

    /// Accepts connections until `stop`; whether all of them ended by themselves then.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> bool {
        let mut connections = JoinSet::new();
        loop {
            let (stream, address, place) = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.next(&listener) => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Usually too many open files; connections that end make room.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            if let Some(place) = self.place(address.ip(), place) {
                connections.spawn(Arc::clone(&self).serve(stream, address.ip(), place, stop.clone()));
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        let finished = tokio::time::timeout(self.limits.shutdown_timeout, ended).await.is_ok();
        connections.shutdown().await;
        finished
    }

    async fn next(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = listener.accept().await?;
        Ok((stream, address, place))
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, address: IpAddr, place: Place, stop: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = &self.tls else { return self.talk(stream, address, &place, stop).await };
        let handshake = tls.acceptor().accept(stream);
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = tokio::time::timeout(self.limits.header_timeout, handshake) => accepted,
        };
        match accepted {
            Ok(Ok(stream)) => self.talk(stream, address, &place, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn talk<S>(&self, stream: S, address: IpAddr, place: &Place, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.limits;
        let activity = Arc::new(Activity::default());
        let service = {
            let (shared, activity) = (Arc::clone(&place.shared), Arc::clone(&activity));
            service_fn(move |request| exchange(Arc::clone(&shared), request, address, Arc::clone(&activity)))
        };
        let socket = TokioIo::new(Socket::new(stream, limits.header_timeout, limits.stall_timeout));
        let builder = builder(limits);
        let mut connection = pin!(builder.serve_connection(socket, service));
        let mut ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = &*error as &dyn std::error::Error, "a connection ended early");
                    }
                    return;
                }
                () = stop.cancelled(), if !ending => {}
                () = activity.idle(limits.idle_timeout), if !ending => {}
            }
            ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(READ_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(32)
        // A far client needs a large window, and a thousand near ones must not each have one.
        .adaptive_window(true)
        .max_frame_size(256 << 10)
        .keep_alive_interval(limits.stall_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(limits: Limits, trusted: &[&str]) -> Arc<Connections> {
        let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
        Connections::new(Router::new(), limits, trusted, Metrics::new(), None)
    }

    #[test]
    fn an_address_has_only_so_many_connections() {
        let shared = shared(Limits { connections_per_address: 2, ..Limits::default() }, &["198.51.100.0/24"]);
        let place = |address: &str| {
            let one_of_all = Arc::clone(&shared.places).try_acquire_owned().unwrap();
            shared.place(address.parse().unwrap(), one_of_all)
        };
        let first = place("2001:db8::1").unwrap();
        let _second = place("2001:db8::2").unwrap();
        assert!(place("2001:db8::3").is_none(), "one network");
        assert!(place("2001:db8:0:1::3").is_some(), "another");
        drop(first);
        let _again = place("2001:db8::3").unwrap();
        for free in ["127.0.0.1", "::ffff:127.0.0.1", "::1", "198.51.100.9"] {
            let many: Vec<_> = (0..5).map(|_| place(free)).collect();
            assert!(many.iter().all(Option::is_some), "{free}");
        }
        assert_eq!(shared.metrics.connections.get(), 2);
        assert_eq!(shared.metrics.connections_refused.get(), 1);
        assert_eq!(shared.by_address.lock().unwrap().len(), 1, "addresses without connections are forgotten");
    }
}
