use super::is_line_control;

/// The part of a `User-Agent` that is stored: its first 100 characters, without the characters that no line of text
/// may have. A client may send anything in this header, and its request is not refused because of it.
pub fn user_agent_text(header: &str) -> String {
    header.chars().filter(|&c| !is_line_control(c)).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_cut_not_refused() {
        assert_eq!(user_agent_text("curl/8\u{0}.1\n\u{202e}"), "curl/8.1");
        assert_eq!(user_agent_text(&"ü".repeat(300)).chars().count(), 100);
    }
}
