//! The objects' types: shapes, kinds, names, selectors, validation. Pure; knows neither HTTP nor storage.

pub mod age;
pub mod certificate;
pub mod condition;
pub mod defaults;
pub mod duration;
pub mod expiry;
pub mod field_error;
pub mod generated_secret;
pub mod kinds;
pub mod kms_key;
pub mod length;
pub mod retention;
pub mod schema;
pub mod secret_owner;
pub mod secret_sync;
pub mod selector;
pub mod user;
pub mod validation;
