//! The objects' types: shapes, kinds, errors of validation. Pure; knows neither HTTP nor storage.

pub mod field_error;
pub mod kinds;
pub mod schema;
pub mod user;
