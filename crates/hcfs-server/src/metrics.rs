//! What the server counts, for Prometheus. No label holds a name, an address or an id.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the durations that are counted, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];

/// Which requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

/// Which durations are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: Arc<str>,
}

/// The counters of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<Kind, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    /// Requests that are carried out, their bodies included.
    pub(crate) underway: Gauge,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Connections closed at once, as their address had too many.
    pub(crate) connections_refused: Counter,
    /// Requests that wait for the right to move a blob.
    pub(crate) waiting: Gauge,
    /// Bytes of request bodies.
    pub(crate) received: Counter,
    /// Bytes of answers' bodies.
    pub(crate) sent: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            underway: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            waiting: Gauge::default(),
            received: Counter::default(),
            sent: Counter::default(),
        })
    }

    /// Counts a request that was answered after `took`, its bodies apart.
    pub(crate) fn answered(&self, method: &Method, route: &Arc<str>, status: StatusCode, took: Duration) {
        let kind = Kind { method: known(method), route: Arc::clone(route), status: status.as_u16() };
        self.requests.get_or_create(&kind).inc();
        self.seconds.get_or_create(&Route { route: Arc::clone(route) }).observe(took.as_secs_f64());
    }

    /// The listener that shows them. It has no tokens, so it listens on an address of its own.
    pub(crate) fn router(&self) -> Router {
        let mut registry = Registry::with_prefix("hcfs");
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register("request_seconds", "Time until the head of the answer", self.seconds.clone());
        registry.register("requests_underway", "Requests being carried out", self.underway.clone());
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "connections_refused",
            "Connections beyond what one address may have",
            self.connections_refused.clone(),
        );
        registry.register("transfers_waiting", "Requests that wait to move a blob", self.waiting.clone());
        registry.register("received_bytes", "Bytes of request bodies", self.received.clone());
        registry.register("sent_bytes", "Bytes of answers' bodies", self.sent.clone());
        Router::new().route("/metrics", get(show)).with_state(Arc::new(registry))
    }
}

async fn show(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    // Only a writer that fails could fail here.
    let _ = encode(&mut text, &registry);
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

/// The name of a method; a client can send any word, and each would be one more label.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
