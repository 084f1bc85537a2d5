//! The three trees, marks and hints of one folder in SQLite.
