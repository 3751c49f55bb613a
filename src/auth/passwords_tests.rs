//! That hashing does not pile up, and that hashes are stored whole.

use std::sync::mpsc;

use super::*;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test compares what it wrote")]
fn a_stored_password_is_read_as_it_was_written() {
    let change = password_row("u-1", &SecretBytes::new(b"$argon2id$x".to_vec()), 1 << 52, 7);
    assert_eq!(change.key, "password/u-1");
    let stored = StoredPassword::decode(&change.value.unwrap()).unwrap();
    assert_eq!((stored.phc.expose(), stored.generation, stored.set_at), (&b"$argon2id$x"[..], 1 << 52, 7));
    assert!(StoredPassword::decode(&SecretBytes::new(b"{}".to_vec())).is_none());
}

#[tokio::test]
async fn no_more_hash_or_wait_than_there_is_room_for() {
    let queue = Arc::new(HashingQueue::new(2));
    let (go, gate) = mpsc::channel::<()>();
    let first = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.run(move || gate.recv().is_ok()).await })
    };
    while queue.permits.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let waiting: Vec<_> = (0..WAITING_MAX)
        .map(|at| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.run(move || at).await })
        })
        .collect();
    while queue.waiting.load(Ordering::SeqCst) < WAITING_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(queue.run(|| ()).await, Err(Busy { retry_after_seconds: 2 }));
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(true));
    for (at, waited) in waiting.into_iter().enumerate() {
        assert_eq!(waited.await.unwrap(), Ok(at));
    }
    assert_eq!(queue.waiting.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    assert_eq!(HashingQueue::new(1).wait, Duration::from_secs(3));
    let queue = HashingQueue { wait: Duration::from_millis(5), ..HashingQueue::new(1) };
    let held = Arc::clone(&queue.permits).acquire_owned().await.unwrap();
    assert!(queue.run(|| ()).await.is_err());
    drop(held);
    assert_eq!(queue.run(|| 1).await, Ok(1));
}
