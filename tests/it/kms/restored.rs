//! Rooms that were restored from one backup: what each encrypts from then on has key ids of its own.

use strongroom::kms::messages::EncryptResponse;

use super::commands::strongroom;
use super::{Lender, options};
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::kms::Plugin;

fn refused(plugin: &mut Plugin, made: &EncryptResponse) -> (u32, String) {
    let refused = plugin.decrypt(&made.ciphertext, &made.key_id).unwrap_err();
    (refused.code, refused.message.replace("%20", " "))
}

#[test]
fn rooms_restored_from_one_backup_never_give_out_the_same_key_id() {
    let mut lender = Lender::start();
    let before = lender.plugin().encrypt(b"seed").unwrap();
    let file = lender.folder.path().join("b").display().to_string();
    let home = lender.app.home().display().to_string();
    let (printed, code) = strongroom(&["backup", "create", "-o", &file, "--home", &home]);
    assert_eq!(code, 0, "{printed}");
    let key = lender.app.home().join("keys/unlock.key").display().to_string();
    let restored = || {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = home.path().display().to_string();
        let (printed, code) = strongroom(&["backup", "restore", &file, "--home", &place, "--key-file", &key]);
        assert!(code == 0 && printed.contains("KMSKeys"), "{printed}");
        let mut options = options(&folder);
        options.extend(["--key-file".to_owned(), key.clone()]);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let app = App::start_in(home, &options);
        let admin = Client::admin(&app);
        Lender { app, admin, folder }
    };
    let of_lost = {
        lender.rotate();
        lender.plugin().encrypt(b"lost").unwrap()
    };
    let (mut one, mut two) = (restored(), restored());
    for room in [&one, &two] {
        let mut plugin = room.plugin();
        assert_eq!(plugin.status().key_id, before.key_id);
        assert_eq!(plugin.decrypt(&before.ciphertext, &before.key_id).unwrap(), b"seed");
        // Neither has rotated, so there is no term of that number.
        let (code, text) = refused(&mut plugin, &of_lost);
        assert!(code == 5 && text.contains("lost copy"), "{code} {text}");
    }
    let (first, second) = (one.rotate(), two.rotate());
    let number = |id: &str| id.rsplit_once(':').unwrap().0.to_owned();
    assert_eq!((number(&first), number(&second)), (number(&of_lost.key_id), number(&of_lost.key_id)));
    assert!(first != second && first != of_lost.key_id && second != of_lost.key_id, "{first} {second}");
    let of_one = one.plugin().encrypt(b"one").unwrap();
    assert_eq!(of_one.key_id, first);
    let mut plugin = two.plugin();
    for foreign in [&of_one, &of_lost] {
        let (code, text) = refused(&mut plugin, foreign);
        assert!(code == 5 && text.contains("another key"), "{code} {text}");
        assert!(text.contains("restore the backup or the database"), "{text}");
        // Nor under the key id of the term that it has.
        assert_eq!(plugin.decrypt(&foreign.ciphertext, &second).unwrap_err().code, 3);
    }
    assert_eq!(plugin.decrypt(&before.ciphertext, &before.key_id).unwrap(), b"seed");
}
