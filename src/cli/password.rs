//! Passwords: asked for on the terminal, or read from standard input. Never from an argument or a variable.

use std::io::Read;

use super::CliError;
use crate::sensitive::SecretBytes;
use crate::terminal::Prompt;

const PASSWORD_MAX_BYTES: usize = 1024;
/// A line end may have two bytes.
const LINE_MAX_BYTES: usize = PASSWORD_MAX_BYTES + 2;

/// Asks once for a password that is known already.
pub fn ask(prompt: &mut dyn Prompt, question: &str) -> Result<SecretBytes, CliError> {
    if !prompt.is_available() {
        return Err(CliError::NotDone(
            "there is no terminal to ask for the password on: give it on standard input, with --password-stdin".into(),
        ));
    }
    prompt.ask(question).map_err(|error| CliError::NotDone(format!("no password was given: {error}")))
}

/// Asks twice for a password that is new.
#[expect(clippy::disallowed_methods, reason = "what was typed twice is compared")]
pub fn ask_new(prompt: &mut dyn Prompt, whose: &str) -> Result<SecretBytes, CliError> {
    let first = ask(prompt, &format!("New password for {whose}: "))?;
    let second = ask(prompt, "Again: ")?;
    if first.expose() == second.expose() {
        Ok(first)
    } else {
        Err(CliError::NotDone("the two passwords differ: nothing was changed".into()))
    }
}

/// The lines of `input`, of which there must be exactly as many as there are passwords.
#[expect(clippy::disallowed_methods, reason = "each line moves into a secret of its own")]
pub fn read<const COUNT: usize>(input: impl Read) -> Result<[SecretBytes; COUNT], CliError> {
    let wrong = || {
        let lines = if COUNT == 1 { "one line".to_owned() } else { format!("{COUNT} lines") };
        CliError::NotDone(format!("standard input must hold {lines} of at most {PASSWORD_MAX_BYTES} bytes"))
    };
    let most = u64::try_from(COUNT * LINE_MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(COUNT * LINE_MAX_BYTES + 1));
    let read = input.take(most + 1).read_to_end(&mut bytes);
    let all = SecretBytes::new(std::mem::take(&mut *bytes));
    read.map_err(|error| CliError::NotDone(format!("standard input: {error}")))?;
    let text = all.expose();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines: Vec<SecretBytes> = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| (1..=PASSWORD_MAX_BYTES).contains(&line.len()))
        .map(|line| SecretBytes::new(line.to_vec()))
        .collect();
    if text.split(|byte| *byte == b'\n').count() != COUNT {
        return Err(wrong());
    }
    lines.try_into().map_err(|_| wrong())
}

/// The password as text; the caller puts it into a type that is wiped.
#[expect(clippy::disallowed_methods, reason = "the password goes into the body of a request")]
pub fn text(password: &SecretBytes) -> Result<&str, CliError> {
    std::str::from_utf8(password.expose()).map_err(|_| CliError::NotDone("the password is not text in UTF-8".into()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at the passwords they planted")]
mod tests {
    use std::collections::VecDeque;
    use std::io;

    use super::*;

    struct Typed(VecDeque<&'static str>);

    impl Prompt for Typed {
        fn is_available(&self) -> bool {
            !self.0.is_empty()
        }

        fn ask(&mut self, _: &str) -> io::Result<SecretBytes> {
            self.0.pop_front().map(|typed| SecretBytes::new(typed.into())).ok_or(io::ErrorKind::Interrupted.into())
        }
    }

    #[test]
    fn a_new_password_is_typed_twice_alike() {
        let ask = |typed: &[&'static str]| ask_new(&mut Typed(typed.iter().copied().collect()), "ada");
        assert_eq!(ask(&["secret", "secret"]).unwrap().expose(), b"secret");
        assert!(ask(&["secret", "Secret"]).is_err());
        assert!(ask(&[]).err().unwrap().to_string().contains("--password-stdin"));
    }

    #[test]
    fn standard_input_holds_one_password_a_line() {
        let one = |text: &str| read::<1>(text.as_bytes()).map(|[only]| only.expose().to_vec());
        assert_eq!(one("pa ss").unwrap(), b"pa ss");
        assert_eq!(one("pass\n").unwrap(), b"pass");
        assert_eq!(one("pass\r\n").unwrap(), b"pass");
        for text in ["", "\n", "a\nb", "a\n\n", &"x".repeat(1025), &"x".repeat(5000)] {
            assert!(one(text).is_err(), "{}", text.len());
        }
        let [old, new] = read::<2>(&b"old\nnew\n"[..]).unwrap();
        assert_eq!((old.expose(), new.expose()), (&b"old"[..], &b"new"[..]));
        assert!(read::<2>(&b"old\n"[..]).is_err() && read::<2>(&b"a\nb\nc\n"[..]).is_err());
        assert!(read::<2>(&b"a\n\nc\n"[..]).is_err());
    }
}
