//! Tokens whose signature was checked already, by the hash of the token.
//!
//! Remembers who a token made somebody, and never that it still does: every hit is checked again by the caller. Only
//! tokens with a good signature get in, so that nobody can push them out by presenting junk.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use super::identity::Identity;

/// SHA-256 of a token.
pub type TokenDigest = [u8; 32];

const SHARDS: usize = 16;
/// Tokens of one generation of one shard. Two generations of 16 shards are 16,384 tokens, about 20 MB at most.
const SHARD_TOKENS: usize = 512;

/// A bounded map from tokens to identities.
pub struct TokenCache {
    shards: [RwLock<Shard>; SHARDS],
}

/// Two generations: the younger takes what is new; when it is full it becomes the elder, and the former elder is
/// dropped. What is used moves into the younger one.
#[derive(Default)]
struct Shard {
    younger: HashMap<TokenDigest, Identity>,
    elder: HashMap<TokenDigest, Identity>,
}

impl TokenCache {
    /// An empty one.
    pub fn new() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()) }
    }

    /// Who the token made somebody, when it was last checked.
    pub fn find(&self, token: &TokenDigest) -> Option<Identity> {
        let shard = self.shard(token);
        let held = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = held.younger.get(token) {
            return Some(identity.clone());
        }
        let identity = held.elder.get(token)?.clone();
        drop(held);
        self.keep(*token, identity.clone());
        Some(identity)
    }

    /// Remembers who a token makes somebody.
    pub fn keep(&self, token: TokenDigest, identity: Identity) {
        let mut shard = self.write(&token);
        if shard.younger.len() >= SHARD_TOKENS && !shard.younger.contains_key(&token) {
            shard.elder = std::mem::take(&mut shard.younger);
        }
        shard.younger.insert(token, identity);
    }

    /// Forgets a token.
    pub fn forget(&self, token: &TokenDigest) {
        let mut shard = self.write(token);
        shard.younger.remove(token);
        shard.elder.remove(token);
    }

    fn write(&self, token: &TokenDigest) -> RwLockWriteGuard<'_, Shard> {
        self.shard(token).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, token: &TokenDigest) -> &RwLock<Shard> {
        let [first, ..] = &self.shards;
        let [byte, ..] = token;
        self.shards.get(usize::from(*byte) % SHARDS).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::identity::{Credential, Source};
    use crate::model::user::User;

    fn identity(name: &str) -> Identity {
        Identity { user: Arc::new(User::new(name, "", [])), credential: Credential::new(Source::Anonymous) }
    }

    fn digest(number: usize) -> TokenDigest {
        let mut digest = [0; 32];
        digest[1..9].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn a_token_is_remembered_until_it_is_forgotten() {
        let cache = TokenCache::new();
        assert!(cache.find(&digest(1)).is_none());
        cache.keep(digest(1), identity("alice"));
        assert_eq!(cache.find(&digest(1)).unwrap().user.name, "alice");
        cache.forget(&digest(1));
        assert!(cache.find(&digest(1)).is_none());
    }

    #[test]
    fn what_is_used_stays_and_the_number_of_tokens_is_bounded() {
        let cache = TokenCache::new();
        for number in 0..SHARD_TOKENS * 10 {
            cache.keep(digest(number), identity("x"));
            assert!(cache.find(&digest(0)).is_some());
        }
        let shard = cache.shards[0].read().unwrap();
        assert!(shard.younger.len() <= SHARD_TOKENS && shard.elder.len() <= SHARD_TOKENS);
        drop(shard);
        assert!(cache.find(&digest(1)).is_none());
    }
}
