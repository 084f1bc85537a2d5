//! The desktop's notifications over the session's bus: `org.freedesktop.Notifications`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use zbus::zvariant::Value;

use super::{Need, Notice};

/// How long the bus, or the desktop behind it, may take.
const WITHIN: Duration = Duration::from_secs(5);
const SERVICE: &str = "org.freedesktop.Notifications";
const OBJECT: &str = "/org/freedesktop/Notifications";

/// The desktop of a session.
pub(super) struct Desktop {
    address: String,
    connection: Option<zbus::Connection>,
    /// The number the desktop gave each notification that may still stand there.
    shown: BTreeMap<(String, Need), u32>,
}

impl Desktop {
    /// The desktop behind a bus, which is connected to when there is something to show.
    // Without notifications there is none.
    #[expect(clippy::unnecessary_wraps, reason = "its twin in programs without notifications gives none")]
    pub(super) fn at(address: String) -> Option<Self> {
        Some(Self { address, connection: None, shown: BTreeMap::new() })
    }

    /// Shows a notification, in the place of an earlier one of its kind. What cannot be shown is left out.
    pub(super) async fn show(&mut self, notice: &Notice) {
        match tokio::time::timeout(WITHIN, self.send(notice)).await {
            Ok(Ok(number)) => {
                self.shown.insert((notice.folder.clone(), notice.need), number);
            }
            Ok(Err(error)) => self.lost(&error.to_string()),
            Err(_) => self.lost("no answer"),
        }
    }

    fn lost(&mut self, why: &str) {
        tracing::debug!("the desktop cannot be told: {why}");
        self.connection = None;
    }

    async fn send(&mut self, notice: &Notice) -> zbus::Result<u32> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => {
                let made = zbus::connection::Builder::address(self.address.as_str())?.build().await?;
                self.connection.insert(made)
            }
        };
        let before = self.shown.get(&(notice.folder.clone(), notice.need)).copied().unwrap_or(0);
        // 1 normal, 2 critical: those stay until they are seen.
        let urgency: u8 = if notice.need == Need::Conflict { 1 } else { 2 };
        let hints = HashMap::from([("urgency", Value::U8(urgency)), ("category", Value::from("transfer"))]);
        let actions: [&str; 0] = [];
        let words = ("hcfs", before, "folder-remote", &*notice.summary, notice.body, &actions[..], hints, -1_i32);
        let reply = connection.call_method(Some(SERVICE), OBJECT, Some(SERVICE), "Notify", &words).await?;
        reply.body().deserialize()
    }
}
