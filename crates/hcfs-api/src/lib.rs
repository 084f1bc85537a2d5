//! The types of the local socket.
