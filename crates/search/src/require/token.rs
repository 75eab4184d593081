//! The words of an expression.

use super::{REQUIREMENT_BYTES_MAX, RequireError, RequireProblem};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Whole(i64),
    Real(f64),
    /// In quotes.
    Text(String),
    /// A path such as `model.hidden[0]`, or a keyword.
    Name(String),
    /// A parameter's name in backquotes.
    Quoted(String),
    /// One of `( ) + - * / % == != < <= > >=`.
    Sign(&'static str),
    End,
}

/// A word and its place, in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) word: Word,
}

/// Longer ones first where one begins another.
const SIGNS: [&str; 13] = [
    "==", "!=", "<=", ">=", "<", ">", "(", ")", "+", "-", "*", "/", "%",
];

impl Word {
    /// For a message.
    pub(super) fn describe(&self) -> String {
        match self {
            Word::Whole(value) => value.to_string(),
            Word::Real(value) => format!("{value:?}"),
            Word::Text(text) => format!("'{text}'"),
            Word::Name(name) => name.clone(),
            Word::Quoted(name) => format!("`{name}`"),
            Word::Sign(sign) => (*sign).to_owned(),
            Word::End => "the end".to_owned(),
        }
    }
}

/// The words in order, the last one [`Word::End`].
pub(super) fn read(text: &str) -> Result<Vec<Token>, RequireError> {
    if text.len() > REQUIREMENT_BYTES_MAX {
        let (bytes, max) = (text.len(), REQUIREMENT_BYTES_MAX);
        let problem = RequireProblem::TooLong { bytes, max };
        return Err(RequireError { at: 1, problem });
    }
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(&first) = letters.get(from) {
        if first.is_whitespace() {
            from += 1;
            continue;
        }
        let at = from + 1;
        let fail = |problem| RequireError { at, problem };
        let (word, next) = word_at(&letters, from, first).map_err(fail)?;
        tokens.push(Token { at, word });
        from = next;
    }
    tokens.push(Token {
        at: letters.len() + 1,
        word: Word::End,
    });
    Ok(tokens)
}

/// The word that begins there, and where the next one may.
fn word_at(letters: &[char], from: usize, first: char) -> Result<(Word, usize), RequireProblem> {
    if matches!(first, '\'' | '"' | '`') {
        let inside = &letters[from + 1..];
        let length = inside.iter().position(|c| *c == first);
        let length = length.ok_or(RequireProblem::Unclosed { quote: first })?;
        let text = inside[..length].iter().collect();
        let word = match first {
            '`' => Word::Quoted(text),
            _ => Word::Text(text),
        };
        return Ok((word, from + length + 2));
    }
    if first.is_ascii_digit() || (first == '.' && is_digit(letters, from + 1)) {
        return number_at(letters, from);
    }
    if first.is_alphabetic() || first == '_' {
        let end = name_end(letters, from);
        return Ok((Word::Name(letters[from..end].iter().collect()), end));
    }
    let starts = |sign: &&&str| {
        sign.chars()
            .zip(from..)
            .all(|(c, at)| letters.get(at) == Some(&c))
    };
    let sign = SIGNS.iter().find(starts);
    let sign = sign.ok_or(RequireProblem::Character { found: first })?;
    Ok((Word::Sign(sign), from + sign.len()))
}

fn is_digit(letters: &[char], at: usize) -> bool {
    letters.get(at).is_some_and(char::is_ascii_digit)
}

/// Letters, digits and `_`; a dot before another of those; an index in brackets.
fn name_end(letters: &[char], from: usize) -> usize {
    let inside = |at: usize| {
        letters
            .get(at)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let mut end = from;
    loop {
        while inside(end) {
            end += 1;
        }
        match letters.get(end) {
            Some('.') if inside(end + 1) => end += 1,
            Some('[') => {
                let digits = (end + 1..).take_while(|at| is_digit(letters, *at)).count();
                if digits == 0 || letters.get(end + 1 + digits) != Some(&']') {
                    return end;
                }
                end += digits + 2;
            }
            _ => return end,
        }
    }
}

/// What looks like a number up to the next sign or space, so that `20ms` is told whole.
fn number_at(letters: &[char], from: usize) -> Result<(Word, usize), RequireProblem> {
    let mut end = from;
    while let Some(&letter) = letters.get(end) {
        let signed = matches!(letter, '+' | '-')
            && matches!(letters[end - 1], 'e' | 'E')
            && is_digit(letters, end + 1);
        if !(letter.is_alphanumeric() || letter == '.' || letter == '_' || signed) {
            break;
        }
        end += 1;
    }
    let text: String = letters[from..end].iter().collect();
    if let Ok(whole) = text.parse() {
        return Ok((Word::Whole(whole), end));
    }
    let plain = text
        .chars()
        .all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    match text.parse::<f64>() {
        Ok(real) if plain && real.is_finite() => Ok((Word::Real(real), end)),
        _ => Err(RequireProblem::BadNumber { text }),
    }
}
