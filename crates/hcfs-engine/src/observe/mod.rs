//! Bringing the local and the remote tree up to date. Only looking; nothing is decided or changed here.

mod here;
mod there;

pub(crate) use there::suspect;
