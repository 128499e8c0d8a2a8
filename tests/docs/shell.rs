//! Just enough of a shell to find the command lines of `isogloss` in an example: quotes,
//! comments, continued lines, pipes and redirections. No expansion.

/// One token of a line.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `|`, `&&`, `||`, `;`, `&`, and the end of a line.
    Separator,
    /// `<`, `>`, `>>`, `2>`: the next word is a file.
    Redirection,
}

/// Every simple command of a script, as its words without redirections and assignments.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut command: Vec<String> = Vec::new();
    let mut tokens = tokens(&script.replace("\\\n", " ")).into_iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => command.push(word),
            Token::Redirection => drop(tokens.next()),
            Token::Separator => {
                if !command.is_empty() {
                    out.push(std::mem::take(&mut command));
                }
            }
        }
    }
    if !command.is_empty() {
        out.push(command);
    }
    for command in &mut out {
        let is_assignment = |w: &String| {
            w.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            })
        };
        let skip =
            command.iter().take_while(|w| is_assignment(w) || *w == "$" || *w == "if").count();
        command.drain(..skip);
    }
    out
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(q) = quote {
            if c == q {
                quote = None;
            } else {
                word.get_or_insert_default().push(c);
            }
            continue;
        }
        match c {
            '\'' | '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '|' | '&' | ';' | '\n' => {
                out.extend(word.take().map(Token::Word));
                out.push(Token::Separator);
            }
            '<' | '>' => {
                // `2>` names the stream, not an argument.
                if word.as_ref().is_some_and(|w| w != "2" && w != "1") {
                    out.extend(word.take().map(Token::Word));
                }
                word = None;
                chars.next_if_eq(&'>');
                out.push(Token::Redirection);
            }
            c if c.is_whitespace() => out.extend(word.take().map(Token::Word)),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word.map(Token::Word));
    out
}

/// The command lines that start `isogloss`, from the word after it.
pub fn isogloss_lines(script: &str) -> Vec<Vec<String>> {
    commands(script)
        .into_iter()
        .filter(|c| c.first().is_some_and(|w| w.rsplit('/').next() == Some("isogloss")))
        .map(|c| c[1..].to_vec())
        .collect()
}

#[test]
fn finds_commands_in_pipes_and_redirections() {
    let script = "# isogloss no\nX=1 isogloss a --b 'c d' < in 2> log | \\\n  isogloss e \"#f\" > out\n\
                  make isogloss && ./target/release/isogloss g; cat h";
    assert_eq!(isogloss_lines(script), [vec!["a", "--b", "c d"], vec!["e", "#f"], vec!["g"]],);
}
