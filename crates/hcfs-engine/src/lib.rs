//! One folder kept in step: observe, plan, transfer, apply, record.
