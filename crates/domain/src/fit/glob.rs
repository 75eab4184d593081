//! Column patterns: `*` is any run of characters, `?` any one, `[abc]` or `[a-z]` one of a set, `[!a]` none of it.
//!
//! The same patterns that name files when data is read.

/// Whether a name matches a pattern. A `[` without its `]` stands for itself. At most quadratic in time.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(used) = match_one(&pattern[p..], name[n]) {
            p += used;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How much of the pattern stands for this character; `None` if its head does not.
fn match_one(pattern: &[char], c: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => match read_set(pattern) {
            Some((members, used)) => contains(members, c).then_some(used),
            None => (c == '[').then_some(1),
        },
        own => (own == c).then_some(1),
    }
}

/// What is between `[` and `]`, and the length with both. A `]` right at the start is a member.
fn read_set(pattern: &[char]) -> Option<(&[char], usize)> {
    let first = if pattern.get(1) == Some(&'!') { 3 } else { 2 };
    let end = first + pattern.get(first..)?.iter().position(|c| *c == ']')?;
    Some((&pattern[1..end], end + 1))
}

fn contains(members: &[char], c: char) -> bool {
    let (members, wanted) = match members.split_first() {
        Some(('!', rest)) => (rest, false),
        _ => (members, true),
    };
    let mut i = 0;
    let mut found = false;
    while i < members.len() {
        if members.get(i + 1) == Some(&'-') && i + 2 < members.len() {
            found |= (members[i]..=members[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= members[i] == c;
            i += 1;
        }
    }
    found == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("age", "age", true),
            ("age", "ages", false),
            ("p*", "p12", true),
            ("p?", "p12", false),
            ("p??", "p12", true),
            ("*_id", "user_id", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbx", false),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("p[0-3]", "p2", true),
            ("p[0-3]", "p4", false),
            ("p[!0-3]", "p4", true),
            ("p[ab]*", "pbx", true),
            ("a[1", "a[1", true),
            ("[]]", "]", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
