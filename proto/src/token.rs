//! The fleet's token: 256 random bits that every call carries. It has no `Display` and its `Debug` shows nothing.

use std::fmt;
use std::path::Path;

/// The fleet's token, 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a token cannot be used. Never contains the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("a token has 64 hexadecimal digits, this text has {found} bytes of another form")]
    Form { found: usize },
    #[error("cannot read the token file {path}")]
    Read {
        path: String,
        source: std::io::Error,
    },
}

impl Token {
    /// Reads 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`TokenError::Form`] for anything else.
    pub fn parse(text: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Token(text.to_ascii_lowercase()))
        } else {
            Err(TokenError::Form { found: text.len() })
        }
    }

    /// Makes a token of 256 random bits.
    pub fn from_bits(bits: [u8; 32]) -> Token {
        Token(bits.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokenError`] if the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Token, TokenError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokenError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Token::parse(&text)
    }

    /// The digits, for the token file and the header. Never for a log, an error or a page.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of the `authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(text: &str, accepted: bool) {
        assert_eq!(Token::parse(text).is_ok(), accepted, "{text:?}");
    }

    #[test]
    fn only_64_digits_are_a_token() {
        check(&"a1".repeat(32), true);
        check(&format!("  {}\n", "A1".repeat(32)), true);
        check(&"a1".repeat(31), false);
        check(&"g1".repeat(32), false);
        check("", false);
    }

    #[test]
    fn a_token_shows_itself_nowhere() {
        let token = Token::from_bits([0xab; 32]);
        assert!(!format!("{token:?}").contains("abab"));
        let error = Token::parse("abababab").unwrap_err();
        assert!(!error.to_string().contains("abab"));
    }
}
