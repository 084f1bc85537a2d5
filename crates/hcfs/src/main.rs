//! The hcfs program.
fn main() {}
