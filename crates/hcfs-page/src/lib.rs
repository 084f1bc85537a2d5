//! The page on loopback: the daemon's state and its actions in a browser.
//!
//! HTML is made here and sent whole; a small script keeps the open page current through server-sent events, and every
//! action is a plain form that works without it. The page is one more client of the local socket: it asks the socket's
//! own routes, in this process, and so can do nothing that a command could not.
//!
//! Invariants:
//! - It listens on 127.0.0.1 alone. Any local user can connect there, so nothing but the two assets is given to who has
//!   no session, and a session starts with a link that only the socket's owner gets, once, for a short time.
//! - A request is answered only if its `Host` is this listener, literally, and if the browser does not say that another
//!   site caused it. A change needs the session's cookie, the same origin and the session's token.
//! - Every text from outside goes through [`maud`]'s escaping; nothing is loaded from elsewhere, inline or evaluated.
//! - Names, labels and ids are parameters and form fields, never segments of a path.
//! - Sizes of requests, the number of connections, sessions and links, and the time for a head are bounded.
//!
//! Deliberately absent: the recovery phrase, in any form; files' contents; TLS (loopback does not leave the machine);
//! listening on any other address; state of its own, but for sessions and ten minutes of throughput.

mod act;
mod gate;
mod guard;
mod live;
mod serve;
mod socket;
mod throughput;
mod view;

pub use serve::{Link, Page, PageError};
pub use socket::Socket;
pub use throughput::Throughput;
