//! A self-hostable HCFS server.
