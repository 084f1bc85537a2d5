//! The status as numbers for Prometheus. `DASHBOARD.md` says what to draw of them.
//!
//! Folders and sources are named by their labels; no path and no item's name stands here.

use std::fmt;

use hcfs_api::{Folder, FolderState, Source, SourceState, Status, UnixMillis};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

/// The format of [`text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A status in the OpenMetrics text format.
pub(crate) fn text(status: &Status) -> String {
    let mut registry = Registry::with_prefix("hcfs");
    registry.register_collector(Box::new(Numbers(status.clone())));
    let mut text = String::new();
    // Only a writer that fails could fail here.
    let _ = encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Numbers(Status);

/// One number and what tells it from its siblings.
type Sample<'s> = (Vec<(&'static str, &'s str)>, i64);

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seconds(at: UnixMillis) -> i64 {
    at.div_euclid(1000)
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(&mut encoder);
        self.daemon(&mut out)?;
        self.folders(&mut out)?;
        self.sources(&mut out)
    }
}

impl Numbers {
    fn daemon(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let Status { daemon, server, .. } = &self.0;
        out.gauges("build_info", "The daemon's version", None, [(vec![("version", daemon.version.as_str())], 1)])?;
        let started = [(Vec::new(), seconds(daemon.started_at))];
        out.gauges("start_timestamp", "When the daemon was started", Some(&Unit::Seconds), started)?;
        out.gauges("locked", "1 while the keys are closed", None, [(Vec::new(), i64::from(daemon.locked))])?;
        // Nobody knows before the first attempt.
        let reachable = server.reachable.map(|reachable| (Vec::new(), i64::from(reachable)));
        out.gauges("server_reachable", "1 if the last attempt reached the server", None, reachable)
    }

    fn folders(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let folders = &self.0.folders;
        let states = folders.iter().flat_map(|folder| {
            let is = |state: FolderState| i64::from(folder.state == state);
            FolderState::ALL
                .map(|state| (vec![("folder", folder.label.as_str()), ("state", state.as_str())], is(state)))
        });
        out.gauges("folder_state", "1 for the state the folder is in, 0 for the others", None, states)?;
        let files = kinds(folders, "side", |folder| {
            let counts = &folder.counts;
            vec![("local", counts.local_files), ("remote", counts.remote_files), ("synced", counts.synced_files)]
        });
        out.gauges("folder_files", "Files here, on the server, and in step", None, files)?;
        let bytes = folders.iter().map(|folder| (of(folder), whole(folder.counts.synced_bytes)));
        out.gauges("folder_synced", "Bytes of the files in step", Some(&Unit::Bytes), bytes)?;
        let actions = folders.iter().map(|folder| (of(folder), whole(folder.counts.pending)));
        out.gauges("folder_pending_actions", "Actions of the current cycle that are left", None, actions)?;
        let pending = kinds(folders, "direction", |folder| {
            vec![("up", folder.counts.pending_up), ("down", folder.counts.pending_down)]
        });
        out.gauges("folder_pending", "Bytes the current cycle has to move", Some(&Unit::Bytes), pending)?;
        let flying = folders.iter().map(|folder| (of(folder), whole(folder.transfers.len() as u64)));
        out.gauges("folder_transfers", "Files in flight", None, flying)?;
        let waiting = kinds(folders, "kind", |folder| {
            let counts = &folder.counts;
            vec![("problem", counts.problems), ("conflict", counts.conflicts), ("hold", counts.holds)]
        });
        out.gauges("folder_waiting", "Problems, conflicts and holds that wait for the user", None, waiting)?;
        let moved =
            kinds(folders, "direction", |folder| vec![("up", folder.counts.sent), ("down", folder.counts.received)]);
        out.counters("folder_moved", "Bytes moved since the start", Some(&Unit::Bytes), moved)?;
        let cycles = folders.iter().map(|folder| (of(folder), whole(folder.cycles)));
        out.counters("folder_cycles", "Cycles that ended since the start", None, cycles)?;
        let last = folders.iter().filter_map(|folder| Some((of(folder), seconds(folder.last_cycle_at?))));
        out.gauges("folder_last_cycle_timestamp", "When the last cycle ended", Some(&Unit::Seconds), last)
    }

    fn sources(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let sources = &self.0.sources;
        let states = sources.iter().flat_map(|source| {
            let is = |state: SourceState| i64::from(source.state == state);
            SourceState::ALL.map(|state| (vec![("source", source.name.as_str()), ("state", state.as_str())], is(state)))
        });
        out.gauges("source_state", "1 for the state the source is in, 0 for the others", None, states)?;
        let files = sources.iter().map(|source| (by(source), whole(source.files)));
        out.gauges("source_files", "Files the source brought", None, files)?;
        let problems = sources.iter().map(|source| (by(source), whole(source.problems)));
        out.gauges("source_problems", "Items that could not be brought", None, problems)
    }
}

fn of(folder: &Folder) -> Vec<(&'static str, &str)> {
    vec![("folder", &folder.label)]
}

fn by(source: &Source) -> Vec<(&'static str, &str)> {
    vec![("source", &source.name)]
}

/// Several numbers of every folder, told apart by one more label.
fn kinds<'f>(
    folders: &'f [Folder],
    label: &'static str,
    numbers: impl Fn(&Folder) -> Vec<(&'static str, u64)>,
) -> impl Iterator<Item = Sample<'f>> {
    folders.iter().flat_map(move |folder| {
        numbers(folder)
            .into_iter()
            .map(move |(kind, number)| (vec![("folder", folder.label.as_str()), (label, kind)], whole(number)))
    })
}

/// Where families of numbers are written.
struct Out<'e, 'w>(&'e mut DescriptorEncoder<'w>);

impl Out<'_, '_> {
    fn gauges<'s>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = Sample<'s>>,
    ) -> fmt::Result {
        self.family(name, help, unit, ConstGauge::<i64>::TYPE, samples, ConstGauge::new)
    }

    fn counters<'s>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = Sample<'s>>,
    ) -> fmt::Result {
        let counter = |number| ConstCounter::new(u64::try_from(number).unwrap_or(0));
        self.family(name, help, unit, ConstCounter::<u64>::TYPE, samples, counter)
    }

    fn family<'s, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        samples: impl IntoIterator<Item = Sample<'s>>,
        metric: impl Fn(i64) -> M,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, number) in samples {
            if labels.is_empty() {
                return metric(number).encode(family);
            }
            metric(number).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
