//! The synced folder on disk: scan, watch, stage, apply, trash.
