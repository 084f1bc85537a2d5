//! The planner: three trees in, ordered actions out.
