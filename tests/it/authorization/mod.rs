//! Who may do what, as it shows from outside: every operation and actor in one table, genuine kubectl, what refusals
//! and answers must not tell, and how soon a right ends.

mod clusters;
mod escalation;
mod kubectl;
mod matrix;
mod oracles;
mod people;
mod revocation;
mod values;
mod watches;
