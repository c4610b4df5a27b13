//! `tallyman token`: a fresh token for the API, and the line of the configuration that lets it in.
//!
//! The token is shown once and kept nowhere; the configuration holds its hash.

use std::process::ExitCode;

use sha2::{Digest, Sha256};

use crate::config::Role;
use crate::domain::time::Timestamp;

/// Marks our tokens, so that secret scanners and people recognise one that has leaked.
const PREFIX: &str = "tallyman_";

/// 256 bits: beyond guessing, and enough that a plain SHA-256 of it can be stored.
const TOKEN_BYTES: usize = 32;

/// Make a token for the API.
///
/// Prints the token, which is shown only here, and the lines for the configuration, which hold only
/// its hash. Clients send it as `Authorization: Bearer TOKEN`.
#[derive(clap::Args, Clone, Debug)]
pub struct TokenArgs {
    /// Who commands given with it are attributed to
    #[arg(long, default_value = "operator")]
    pub name: String,
    /// What it allows: viewer, operator or admin
    #[arg(long, default_value = "operator", value_parser = role)]
    pub role: Role,
    /// It sees, and acts on, what belongs to this site only; may be given several times
    #[arg(long = "site", value_name = "SITE")]
    pub sites: Vec<String>,
    /// Not let in from then on, for instance 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub expires: Option<Timestamp>,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "write a time with its offset, for instance 2027-01-01T00:00:00Z".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    [Role::Viewer, Role::Operator, Role::Admin]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| "write viewer, operator or admin".to_owned())
}

pub fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let mut random = [0; TOKEN_BYTES];
    rand::fill(&mut random);
    let token = token(random);
    println!("The token, shown only now:\n\n{token}\n\nFor the configuration:\n");
    print!("{}", config_lines(args, &token));
    Ok(ExitCode::SUCCESS)
}

fn token(random: [u8; TOKEN_BYTES]) -> String {
    format!("{PREFIX}{}", hex::encode(random))
}

fn config_lines(args: &TokenArgs, token: &str) -> String {
    let name = toml::Value::from(args.name.as_str());
    let (sha256, role) = (hash(token), args.role.as_str());
    let mut lines = format!("[[web.token]]\nname = {name}\nsha256 = \"{sha256}\"\nrole = \"{role}\"\n");
    if !args.sites.is_empty() {
        lines += &format!("sites = {}\n", toml::Value::from(args.sites.clone()));
    }
    if let Some(expires) = args.expires {
        lines += &format!("expires = \"{expires}\"\n");
    }
    lines
}

/// The hash of a token as `web.token.sha256` holds it: SHA-256 of its text, lower-case hex.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_loads_and_holds_the_tokens_hash() {
        let token = token([7; TOKEN_BYTES]);
        let args = TokenArgs {
            name: "night shift".to_owned(),
            role: Role::Admin,
            sites: vec!["leeds".to_owned()],
            expires: Timestamp::parse("2027-01-01T00:00:00Z"),
        };
        let site = "[[site]]\nname = \"leeds\"\ntimezone = \"UTC\"\n";
        let text = format!("node = \"n\"\n{}{site}", config_lines(&args, &token));
        let config = crate::config::parse(&text, std::path::Path::new(""), &|_| None).unwrap();
        let tokens = config.web.tokens.now();
        let [entry] = &*tokens else { panic!("{config:?}") };
        assert_eq!((entry.name.as_str(), entry.role), ("night shift", Role::Admin));
        assert_eq!((entry.sites.as_ref().map(Vec::len), entry.expires), (Some(1), args.expires));
        assert_eq!(entry.sha256, hash(&token));
        assert!(!text.contains(&token));
    }

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
