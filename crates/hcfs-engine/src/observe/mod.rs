//! Bringing the local and the remote tree up to date. Only looking; nothing is decided or changed here.

mod feed;
mod here;
mod there;

pub(crate) use feed::Feed;
pub(crate) use there::suspect;
