//! The real world: tokio and `std::fs`.
