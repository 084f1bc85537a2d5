//! The HCFS endpoints behind one trait.
