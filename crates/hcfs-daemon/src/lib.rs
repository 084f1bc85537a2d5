//! The background service: configuration, unlock, supervision, socket.
