//! What the tests above every crate share.
