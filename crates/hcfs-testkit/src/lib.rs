//! Seeded generators and scratch trees for the tests of every floor.
