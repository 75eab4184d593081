//! Patterns with `*`, `?` and `[...]`: for file names and for column names.

/// Whether all of `name` fits `pattern`: `*` any run of characters, `?` one, `[abc]` or `[a-z]` one of a set, `[!a]` none of it.
///
/// A `[` without its `]` stands for itself. Quadratic at worst, never exponential.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go back to: the place after the last star, and the first character not yet given to it.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
        } else if let Some(used) = one(&pattern[p..], name[n]) {
            p += used;
            n += 1;
        } else if let Some((after, taken)) = star {
            p = after;
            n = taken + 1;
            star = Some((after, taken + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How many characters of the pattern match `c`, if its head does.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern) {
            Some((members, used)) => contains(members, c).then_some(used),
            None => (c == '[').then_some(1),
        },
        other => (other == c).then_some(1),
    }
}

/// The inside of a set and its length with the brackets; a `]` right at the start is a member.
fn set(pattern: &[char]) -> Option<(&[char], usize)> {
    let skip = if pattern.get(1) == Some(&'!') { 3 } else { 2 };
    let end = pattern.iter().skip(skip).position(|c| *c == ']')? + skip;
    Some((&pattern[1..end], end + 1))
}

fn contains(members: &[char], c: char) -> bool {
    let (members, negated) = match members {
        ['!', rest @ ..] => (rest, true),
        all => (all, false),
    };
    let mut found = false;
    let mut i = 0;
    while i < members.len() {
        if i + 2 < members.len() && members[i + 1] == '-' {
            found |= (members[i]..=members[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= members[i] == c;
            i += 1;
        }
    }
    found != negated
}

/// Whether a text is a pattern rather than a plain name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }

    #[test]
    fn stars_questions_and_sets() {
        check("p*", "p12", true);
        check("p*", "q12", false);
        check("*", "", true);
        check("p?", "p1", true);
        check("p?", "p", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxbyy", false);
        check("p[0-4]", "p3", true);
        check("p[0-4]", "p5", false);
        check("p[!0-4]", "p5", true);
        check("p[", "p[", true);
        check("label", "label", true);
        check("label", "labels", false);
        check("p[ab]*", "pbx", true);
        check("[]]", "]", true);
        check("", "", true);
        check("?", "", false);
        check(&"a*".repeat(30), &"a".repeat(60), true);
        check(&format!("{}b", "a*".repeat(30)), &"a".repeat(60), false);
    }
}
