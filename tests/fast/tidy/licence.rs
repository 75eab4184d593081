//! SPDX licence expressions, as far as manifests use them.

/// Whether an expression can be met with licences that `allowed` accepts. An empty or broken expression cannot.
///
/// `AND` binds tighter than `OR`; `/` is the old spelling of `OR`; `A WITH B` is one licence.
pub fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&tokens, &mut at, allowed);
    met == Some(true) && at == tokens.len()
}

fn any(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = all(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(tokens, at, allowed)?;
    }
    Some(met)
}

fn all(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = one(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at, allowed)?;
    }
    Some(met)
}

fn one(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let token = *tokens.get(*at)?;
    *at += 1;
    if token == "(" {
        let met = any(tokens, at, allowed)?;
        *at += 1;
        return (tokens.get(*at - 1) == Some(&")")).then_some(met);
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens.get(*at + 1)?;
        *at += 2;
        return Some(allowed(&format!("{token} WITH {exception}")));
    }
    (!["OR", "AND", ")"].contains(&token)).then(|| allowed(token))
}

#[test]
fn expressions_are_met_or_not() {
    #[track_caller]
    fn check(expression: &str, expected: bool) {
        let allowed = |id: &str| ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&id);
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
    check("MIT", true);
    check("GPL-3.0", false);
    check("GPL-3.0 OR MIT", true);
    check("GPL-3.0/MIT", true);
    check("GPL-3.0 AND MIT", false);
    check("MIT AND Zlib", true);
    check("GPL-3.0 AND MIT OR Zlib", true);
    check("GPL-3.0 AND (MIT OR Zlib)", false);
    check("(GPL-3.0 OR MIT) AND Zlib", true);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("Apache-2.0", false);
    check("", false);
    check("MIT OR", false);
    check("(MIT", false);
    check("MIT Zlib", false);
}
