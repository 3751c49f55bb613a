//! The objects' types: shapes, kinds, names, selectors, validation. Pure; knows neither HTTP nor storage.

pub mod age;
pub mod defaults;
pub mod field_error;
pub mod kinds;
pub mod length;
pub mod retention;
pub mod schema;
pub mod secret_sync;
pub mod selector;
pub mod user;
pub mod validation;
