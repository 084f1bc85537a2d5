//! How connections are made: names resolved, certificates checked.
//!
//! Invariants: `localhost` is this machine without asking a resolver, so plain http to it cannot leave; https accepts
//! only certificates that the system's roots, or the roots given by the caller, vouch for.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
pub use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use tower::util::ServiceFn;

use crate::error::HttpError;
use crate::url::is_loopback;

type Addresses = std::vec::IntoIter<SocketAddr>;
type Resolving = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;
type Resolver = ServiceFn<fn(Name) -> Resolving>;

pub(crate) type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// Time after which an idle connection is probed by the kernel.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Reads every certificate of a PEM file.
///
/// # Errors
/// The text holds no certificate, or one that cannot be read.
pub fn roots_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(HttpError::setup)?;
    if roots.is_empty() {
        return Err(HttpError::setup("the file holds no certificate"));
    }
    Ok(roots)
}

/// TLS as this machine allows it.
pub(crate) struct Tls {
    pub(crate) config: rustls::ClientConfig,
    /// Why no certificate can be accepted here, if so: the machine has no root certificates at all.
    pub(crate) no_roots: Option<Arc<str>>,
}

/// Sets TLS up with the roots of the system and `extra_roots`.
///
/// A machine without any root certificate can still speak plain http to itself, so that is not an error here.
pub(crate) fn tls(extra_roots: Vec<CertificateDer<'static>>) -> Result<Tls, HttpError> {
    // Named, because two providers in one build make rustls's own choice a panic.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(HttpError::setup)?;
    let has_extra = !extra_roots.is_empty();
    match Verifier::new_with_extra_roots(extra_roots, provider) {
        // `dangerous` is rustls's name for any verifier that is not its own; this one is the platform's.
        Ok(verifier) => {
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            Ok(Tls { config: builder.with_no_client_auth(), no_roots: None })
        }
        Err(error) if has_extra => Err(HttpError::setup(error)),
        Err(error) => {
            let builder = builder.with_root_certificates(rustls::RootCertStore::empty());
            Ok(Tls { config: builder.with_no_client_auth(), no_roots: Some(error.to_string().into()) })
        }
    }
}

pub(crate) fn connector(config: rustls::ClientConfig, connect: Duration) -> Connector {
    let mut tcp = HttpConnector::new_with_resolver(tower::service_fn(resolve as fn(Name) -> Resolving));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    // Shared out over the addresses of a name, so that a dead first address leaves time for the next.
    tcp.set_connect_timeout(Some(connect));
    HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_all_versions().wrap_connector(tcp)
}

fn resolve(name: Name) -> Resolving {
    Box::pin(async move {
        if is_loopback(name.as_str()) {
            let local = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
            return Ok(local.into_iter());
        }
        // The connector puts the port in.
        let found = tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs()).await;
        found.map_err(io::Error::other)?
    })
}
