//! An HTTP client with deadlines, bounded retries and resumable downloads.
