//! XML as Route 53's requests use it: elements, text, and a namespace on the root.

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The one element of a document; `None` for anything that is not as expected.
    pub(super) fn parse(document: &str) -> Option<Self> {
        let mut rest = document.trim();
        if let Some(declaration) = rest.strip_prefix("<?xml") {
            rest = declaration.split_once("?>")?.1.trim_start();
        }
        let (root, rest) = Self::read(rest)?;
        rest.is_empty().then_some(root)
    }

    fn read(text: &str) -> Option<(Self, &str)> {
        let (head, mut rest) = text.strip_prefix('<')?.split_once('>')?;
        let empty = head.ends_with('/');
        let mut words = head.trim_end_matches('/').split_whitespace();
        let name = words.next().filter(|name| name.bytes().all(|octet| octet.is_ascii_alphanumeric()))?;
        let namespace = match words.next() {
            None => None,
            Some(word) => Some(word.strip_prefix("xmlns=\"")?.strip_suffix('"')?.to_owned()),
        };
        if words.next().is_some() {
            return None;
        }
        let mut element =
            Self { name: name.to_owned(), namespace, text: String::new(), children: Vec::new() };
        if empty {
            return Some((element, rest));
        }
        loop {
            let (text, tag) = rest.split_at(rest.find('<')?);
            element.text += &unescaped(text)?;
            if let Some(end) = tag.strip_prefix("</") {
                let (end, after) = end.split_once('>')?;
                // Text beside elements is no more than what makes them readable.
                if !element.children.is_empty() {
                    element.text = element.text.trim().to_owned();
                }
                let mixed = !element.children.is_empty() && !element.text.is_empty();
                return (end == element.name && !mixed).then_some((element, after));
            }
            let (child, after) = Self::read(tag)?;
            element.children.push(child);
            rest = after;
        }
    }

    /// The children, if they are called by some of `known`, in that order, each at most once.
    pub(super) fn only(&self, known: &[&str]) -> Option<Vec<Option<&Self>>> {
        let mut children = self.children.iter().peekable();
        let found = known.iter().map(|name| children.next_if(|child| child.name == *name)).collect();
        children.next().is_none().then_some(found)
    }

    /// The children, if each is called `name` and there is at least one.
    pub(super) fn all(&self, name: &str) -> Option<&[Self]> {
        let fits = !self.children.is_empty() && self.children.iter().all(|child| child.name == name);
        fits.then_some(&self.children[..])
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut whole = parts.next()?.to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';')?;
        whole.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        whole += rest;
    }
    Some(whole)
}

/// `text` as it stands in a document.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// An element that holds `content`, which is XML.
pub(super) fn tag(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_their_order_and_anything_else_is_refused() {
        let text = "<?xml version=\"1.0\"?>\n<A xmlns=\"n\"> <B>&lt;&#x41;&quot;</B><C/></A>";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.namespace.as_deref(), Some("n"));
        let children = root.only(&["B", "C", "D"]).unwrap();
        assert_eq!(children[0].unwrap().text, "<A\"");
        assert!(children[1].is_some() && children[2].is_none());
        assert_eq!(root.only(&["C", "B"]), None);
        for wrong in ["<A>", "<A></B>", "<A x=\"1\"/>", "<A>x<B/></A>", "<A>&nbsp;</A>", "<A/><A/>", "text"] {
            assert_eq!(Element::parse(wrong), None, "{wrong}");
        }
    }
}
